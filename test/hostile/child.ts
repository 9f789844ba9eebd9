/** Loads TorchScript files that may end the process (pool.ts): one after the other, each answered by what it ended in. */
import { loadTorchScript } from '../../lib/model/torchScript';

import { answer } from './answer';

answer(async ({ file }: { file: string }) => {
  await using network = await loadTorchScript(file, { device: 'cpu' });
  await network.run([{ data: new Float32Array([1, 2, 3, 4]), shape: [4], dtype: 'float32' }]);
  return 'ok';
});
