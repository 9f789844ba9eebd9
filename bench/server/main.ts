/** `npm run bench:server`: a load test of the server on loopback. */
import { parseArgs } from 'node:util';

import { prepareBundle } from '../benchmark';
import { measureParts, wholeNumbers } from '../figure';

import { addedTime, loopDelay, manyClients, memorySlope } from './figures';

const usage = `npm run bench:server -- [options]
  --json FILE     write the figures as a JSON array
  --only NAMES    of added, loop, memory, clients; with commas between them
  --rounds N      repetitions of what is timed (default 10)
  --requests N    requests in a row (default 200)
  --clients N     clients at once (default 32)`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string', default: '10' },
      requests: { type: 'string', default: '200' },
      clients: { type: 'string', default: '32' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const { rounds, requests, clients } = wholeNumbers(values, ['rounds', 'requests', 'clients']);
  const say = (line: string) => console.error(line);
  const parts = [
    { name: 'added', measure: () => addedTime(prepareBundle('full', say), rounds) },
    { name: 'loop', measure: () => loopDelay(prepareBundle('megapixel', say), rounds) },
    { name: 'memory', measure: () => memorySlope(requests) },
    {
      name: 'clients',
      measure: () => manyClients(prepareBundle('full', say), clients, Math.max(2, Math.round(rounds / 4))),
    },
  ];
  await measureParts(parts, values, say);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
