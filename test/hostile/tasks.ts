/** What a child does with a file or a value that somebody made up. Errors of the package are thrown as they are. */
import { loadTorchScript } from '../../lib/model/torchScript';

export type Task = { kind: 'torchScript'; file: string };

export async function runTask(task: Task): Promise<string> {
  switch (task.kind) {
    case 'torchScript':
      return runTorchScript(task.file);
  }
}

/** Loads a TorchScript file and runs it once. */
async function runTorchScript(file: string): Promise<string> {
  await using network = await loadTorchScript(file, { device: 'cpu' });
  await network.run([{ data: new Float32Array([1, 2, 3, 4]), shape: [4], dtype: 'float32' }]);
  return 'ok';
}
