/** Loads TorchScript files that may end the process (pool.ts): one after the other, each answered by what it ended in. */
import { loadTorchScript } from '../../lib/model/torchScript';

import { answer } from './answer';

answer(async ({ file }: { file: string }) => {
  await using network = await loadTorchScript(file, { device: 'cpu' });
  const run = async () => {
    const input = { data: new Float32Array([1, 2, 3, 4]), shape: [4], dtype: 'float32' as const };
    const outputs = await network.run([input]);
    return JSON.stringify([...outputs, input].map(({ data }) => Array.from(data, String)));
  };
  const first = await run();
  // What it gives follows from what it is given, and nothing else.
  return (await run()) === first ? 'ok' : 'another result';
});
