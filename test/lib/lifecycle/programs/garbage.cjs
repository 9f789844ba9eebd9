'use strict';
// Pipelines that nobody disposes of: `node --expose-gc garbage.cjs COUNT`. Each runs when the last reference to it goes.
// Prints how many pictures came, and the resident memory in MB after each; ends by itself.
const { loadPipeline } = require('detail-guidance');

async function one() {
  const pipeline = await loadPipeline('embedded', { device: 'cpu' });
  return pipeline.generate({ classLabel: 0, seed: 1, numInferenceSteps: 3 });
}

async function main() {
  const resident = [];
  let pictures = 0;
  for (let index = 0; index < Number(process.argv[2]); index++) {
    const result = one();
    globalThis.gc();
    pictures += (await result).images.length;
    for (let turn = 0; turn < 5; turn++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    resident.push(Math.round(process.memoryUsage().rss / 1e5) / 10);
  }
  console.log(JSON.stringify({ resident, pictures }));
}

void main();
