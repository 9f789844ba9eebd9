'use strict';
// `node scripts/load-cost.cjs [N]`: what the closed list of operators costs of a load: the models of the embedded bundle
// loaded N times each, with the list and without it in turn, in processor time, which other programs change little.

const path = require('node:path');

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

async function main() {
  const count = Number(process.argv[2] ?? 40);
  if (!Number.isInteger(count) || count < 3)
    throw new Error(`expected a whole number from 3, received ${process.argv[2]}`);
  const { loadTorchScript } = require('detail-guidance');
  const folder = path.join(__dirname, '..', 'models', 'embedded');
  for (const name of ['transformer.pt', 'classifier.pt']) {
    /** @param {boolean} allowAllOperators */
    const load = async (allowAllOperators) => {
      const before = process.cpuUsage();
      const model = await loadTorchScript(path.join(folder, name), { device: 'cpu', allowAllOperators });
      const { user, system } = process.cpuUsage(before);
      await model.dispose();
      return user + system;
    };
    await load(false);
    await load(true);
    const ratios = [];
    for (let index = 0; index < count; index++) {
      // Either comes first in turn, and one of a pair is near the other in time.
      const first = index % 2 === 0;
      const [a, b] = [await load(first), await load(!first)];
      ratios.push(first ? b / a : a / b);
    }
    const sorted = ratios.toSorted((a, b) => a - b);
    const [low, high] = [sorted[sorted.length >> 2], sorted[(3 * sorted.length) >> 2]];
    const percent = (/** @type {number | undefined} */ ratio) => `${(((ratio ?? NaN) - 1) * 100).toFixed(1)} %`;
    // Half of the notch of a box plot: the 95 % interval of a median.
    const error = (1.57 * ((high ?? NaN) - (low ?? NaN))) / Math.sqrt(count);
    console.log(
      `${name}: the list costs ${percent(median(ratios))} ± ${(error * 100).toFixed(1)} % of a load (median of ${count} pairs)`,
    );
  }
}

void main();
