/** An application that has the packed tarball among its dependencies, in a folder of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { buildFolder, root } from '../../setup/cache.cjs';

/** npm's own program: the one that runs this, or the one on PATH. */
export function npm(): string {
  return (
    process.env.npm_execpath ??
    execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).trim()
  );
}

/** Makes the tarball of what is in dist now. @returns its path */
export function pack(folder: string): string {
  const args = [npm(), 'pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const answer = execFileSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = Object.values<{ filename: string }>(JSON.parse(answer));
  return join(folder, packed!.filename);
}

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export class Application {
  private constructor(
    readonly folder: string,
    /** Where the package is. */
    readonly installed: string,
    readonly tarball: string,
  ) {}

  /**
   * What `npm install` makes of the tarball; the dependencies are links to those of this repository, so that no registry is
   * needed.
   */
  static async install(name = 'application'): Promise<Application> {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'package-')));
    const folder = join(base, name);
    const modules = join(folder, 'node_modules');
    await mkdir(modules, { recursive: true });
    const tarball = pack(base);
    execFileSync('tar', ['xzf', tarball, '-C', modules]);
    const installed = join(modules, 'detail-guidance');
    await cp(join(modules, 'package'), installed, { recursive: true });
    await rm(join(modules, 'package'), { recursive: true });
    const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const dependency of Object.keys(dependencies)) {
      await mkdir(dirname(join(modules, dependency)), { recursive: true });
      await symlink(join(root, 'node_modules', dependency), join(modules, dependency), 'dir');
    }
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    return new Application(folder, installed, tarball);
  }

  async write(file: string, text: string): Promise<string> {
    const path = join(this.folder, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Runs Node there, with this repository's addon unless `env` says otherwise. */
  node(args: string[], env: NodeJS.ProcessEnv = { DETAIL_GUIDANCE_BUILD: buildFolder() }): Promise<Outcome> {
    return this.run(process.execPath, args, env);
  }

  run(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
    return new Promise((settle, reject) => {
      const child = spawn(program, args, {
        cwd: this.folder,
        env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE', DEBUG: '', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) => settle({ code, stdout, stderr }));
    });
  }

  async remove(): Promise<void> {
    await rm(dirname(this.folder), { recursive: true, force: true });
  }
}

/** A small picture, so that the addon, libtorch and the embedded model are all there; prints the PNG's sha256. */
export const picture = `
const { createHash } = await import('node:crypto');
const pipeline = await loadPipeline('embedded', { device: 'cpu' });
const { images } = await pipeline.generate({ classLabel: 7, seed: 7, numInferenceSteps: 2 });
console.log(createHash('sha256').update(images[0].pixels).digest('hex'));
await pipeline.dispose();
`;
