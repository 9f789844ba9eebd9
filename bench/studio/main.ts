/** `npm run bench:studio`: what the studio's page costs, in Chromium. */
import { parseArgs } from 'node:util';

import { prepareBundle } from '../benchmark';
import { measureParts, wholeNumbers } from '../figure';

import { firstPaint } from './paint';
import { previewCost } from './preview';
import { scriptBytes } from './script';
import { scrolling } from './scrolling';

const usage = `npm run bench:studio -- [options]
  --json FILE     write the figures as a JSON array
  --only NAMES    of script, paint, preview, scroll; with commas between them
  --rounds N      first paints, and times that the gallery is scrolled (default 10)
  --pairs N       pictures with and without previews, in turn (default 60; a quarter of it for the large model)`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string', default: '10' },
      pairs: { type: 'string', default: '60' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const { rounds, pairs } = wholeNumbers(values, ['rounds', 'pairs']);
  const say = (line: string) => console.error(line);
  const parts = [
    { name: 'script', measure: () => scriptBytes() },
    { name: 'paint', measure: () => firstPaint(rounds) },
    {
      name: 'preview',
      measure: async () => [
        ...(await previewCost('embedded', 'embedded', pairs)),
        ...(await previewCost('full', prepareBundle('full', say), Math.max(2, Math.round(pairs / 4)))),
      ],
    },
    { name: 'scroll', measure: () => scrolling(rounds) },
  ];
  await measureParts(parts, values, say);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
