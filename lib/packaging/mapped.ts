/** The process of packLibtorch.ts: which libraries the addon brings into a process, seen by loading it. */
import { native, findLibtorch, readBuild } from '../native';

import type { MappedLibraries } from './libraries';

process.once('message', () => {
  let answer: MappedLibraries;
  try {
    const before = new Set(sharedObjects());
    const { folder, info } = readBuild();
    const libtorch = findLibtorch(info);
    native();
    const files = sharedObjects().filter((file) => !before.has(file) && !file.startsWith(folder));
    answer = { libtorch, files };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    answer = { failure: { ...(code === undefined ? {} : { code }), message } };
  }
  process.send!(answer, () => process.exit());
});

/** What Node's diagnostic report lists, which is the same on every platform. */
function sharedObjects(): string[] {
  // Names of the machine's peers are not asked for.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true;
  return (report.getReport() as unknown as { sharedObjects: string[] }).sharedObjects;
}
