/** A real Electron: the example packaged by electron-builder, and an archive that only leaves out what it has to. */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline, type GeneratedImage, type GenerateOptions } from '../../lib';
import { findElectron, layElectron } from '../../scripts/electron.cjs';
import { buildFolder, root } from '../../setup/cache.cjs';
import { settles } from '../settles';

import { pack } from './application';
import { ElectronRun } from './electronRun';

const { electron, reason } = findElectron();
if (reason) process.stderr.write(`- Electron: skipped, ${reason}\n`);
const suite = electron ? describe : describe.skip;

const example = join(root, 'examples', 'electron-app');
let base: string;
/** libtorch's own folder, which applications find among their resources. */
let libtorch: string;

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'electron-')));
  const info = await readFile(join(buildFolder(), 'Release', 'build-info.json'), 'utf8');
  libtorch = (JSON.parse(info) as { libtorchPath: string }).libtorchPath;
});
afterAll(() => rm(base, { recursive: true, force: true }));

/** An application's folder with the packed package in it, its addon, and the packages that it depends on. */
async function installIn(folder: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  await mkdir(modules, { recursive: true });
  execFileSync('tar', ['xzf', pack(base), '-C', modules]);
  const installed = join(modules, 'detail-guidance');
  await cp(join(modules, 'package'), installed, { recursive: true });
  await rm(join(modules, 'package'), { recursive: true });
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; peer?: boolean; devOptional?: boolean }>;
  };
  for (const [place, { dev, peer, devOptional }] of Object.entries(packages)) {
    if (place === '' || dev || peer || devOptional) continue;
    await cp(join(root, place), join(folder, place), { recursive: true, dereference: true });
  }
  await cp(join(buildFolder(), 'Release'), join(installed, 'build', 'Release'), { recursive: true });
  // The libtorch that the addon was built with is not to be found where the application runs.
  const file = join(installed, 'build', 'Release', 'build-info.json');
  const info = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...info, libtorchPath: '/nowhere', libtorchLib: '/nowhere' }));
}

/** Nothing of this machine's: what the application brings along has to do. */
const elsewhere = (home: string) => ({
  HOME: home,
  DETAIL_GUIDANCE_CACHE: join(home, 'cache'),
  DETAIL_GUIDANCE_BUILD: '',
  LIBTORCH_USE_PYTORCH: '0',
  LIBTORCH: '',
});

const runs: ElectronRun[] = [];
afterEach(async () => {
  for (const run of runs.splice(0)) await run.kill();
});

async function here(options: GenerateOptions): Promise<GeneratedImage> {
  await using pipeline = await loadPipeline('embedded', { device: 'cpu' });
  return (await pipeline.generate(options)).images[0]!;
}

suite('the example, packaged by electron-builder', () => {
  let program: string;
  let home: string;
  let started = 0;

  const start = async (args: string[] = [], env: NodeJS.ProcessEnv = {}, data = join(home, `data-${started++}`)) => {
    const run = await ElectronRun.start(program, [`--user-data-dir=${data}`, ...args], { ...elsewhere(home), ...env });
    runs.push(run);
    return run;
  };

  beforeAll(async () => {
    home = join(base, 'home');
    await mkdir(home);
    const folder = join(base, 'app');
    await cp(example, folder, { recursive: true, filter: (file) => basename(file) !== 'node_modules' });
    await installIn(folder);
    // The tests' main file stands before the application's own.
    await cp(join(folder, 'main.js'), join(folder, 'app.js'));
    await cp(join(__dirname, 'electron', 'main.js'), join(folder, 'main.js'));
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      devDependencies?: unknown;
      build: { files: string[] };
    };
    manifest.build.files.push('app.js');
    manifest.dependencies['detail-guidance'] = '*';
    delete manifest.devDependencies;
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
    // pack-libtorch has its own test; three gigabytes need not be copied twice.
    await mkdir(join(folder, 'libtorch'));
    const dist = join(base, 'electron-dist');
    layElectron(electron!, dist);
    const builder = join(electron!.modules, 'electron-builder', 'cli.js');
    const options = [`-c.electronDist=${dist}`, `-c.electronVersion=${electron!.version}`];
    execFileSync(process.execPath, [builder, '--linux', '--dir', ...options], { cwd: folder, stdio: 'pipe' });
    const packaged = join(folder, 'dist', 'linux-unpacked');
    program = join(packaged, 'detail-guidance-electron-app');
    const place = join(packaged, 'resources', 'libtorch');
    await rm(place, { recursive: true, force: true });
    await symlink(libtorch, place, 'dir');
    // As installed: the application's own folder is not there to be found.
    await rm(join(folder, 'node_modules'), { recursive: true });
  }, 180_000);

  test('makes a picture of the same bytes as Node, shows how far it is, and saves it by the dialog', async () => {
    const file = join(home, 'saved.png');
    const run = await start([], { TEST_SAVE_AS: file });
    const page = await run.page(/page\/index\.html$/);
    await page.getByText('fashion-mnist-dit on').waitFor();
    await page.getByRole('button', { name: 'Make a picture' }).click();
    await page.getByText(/^done: \d+ evaluations$/).waitFor();
    if (process.env.TEST_SCREENSHOTS) await page.screenshot({ path: join(process.env.TEST_SCREENSHOTS, 'app.png') });
    await page.getByRole('button', { name: 'Save…' }).click();
    await page.getByText(`saved ${file}`).waitFor();
    const guidance = { classifierFree: { scale: 2 }, detail: { scale: 0.3 } };
    const expected = await here({ classLabel: 'Sneaker', seed: 7, numInferenceSteps: 30, guidance });
    expect((await readFile(file)).equals(Buffer.from(expected.toPng()))).toBe(true);
    expect(run.events).toContainEqual({ saves: 'Sneaker-7.png' });
    const bars = run.events.flatMap(({ setProgressBar }) =>
      typeof setProgressBar === 'number' ? [setProgressBar] : [],
    );
    expect(bars.slice(0, 30)).toEqual(Array.from({ length: 30 }, (_, at) => (at + 1) / 30));
    expect(bars.at(-1)).toBe(-1);
    // The model is in one process, which is not the main one; both files lie where the system's loader reads them.
    const [addon, ...others] = run.mapped('detail_guidance.node');
    expect(others).toEqual([]);
    expect(addon).toContain('app.asar.unpacked/node_modules/detail-guidance/build/Release/');
    expect(run.mapped('libtorch_cpu.so')).toEqual([join(await realpath(libtorch), 'lib', 'libtorch_cpu.so')]);
  }, 180_000);

  test('an opened picture brings its settings back', async () => {
    const file = join(home, 'opened.png');
    const guidance = { classifierFree: { scale: 3 }, detail: { scale: 0.5 } };
    const options = { classLabel: 'Bag', seed: 3, numInferenceSteps: 4, guidance };
    await writeFile(file, (await here(options)).toPng());
    const run = await start([], { TEST_OPEN: file });
    const page = await run.page(/page\/index\.html$/);
    await page.getByText('fashion-mnist-dit on').waitFor();
    await page.getByRole('button', { name: 'Open…' }).click();
    await page.getByText('the settings of opened.png').waitFor();
    const fields = ['Class', 'Seed', 'Steps', 'CFG scale', 'Detail scale'];
    const values = await Promise.all(fields.map((label) => page.getByLabel(label).inputValue()));
    expect(values).toEqual(['Bag', '3', '4', '3', '0.5']);
  }, 120_000);

  test('the page has the bridge and nothing else', async () => {
    const run = await start();
    const page = await run.page(/page\/index\.html$/);
    await page.getByText('fashion-mnist-dit on').waitFor();
    const world = await page.evaluate(`(async () => ({
      names: Object.keys(window.detailGuidance).sort(),
      node: [typeof require, typeof process],
      network: await fetch('http://127.0.0.1:1/').then(() => 'reached', () => 'refused'),
      script: await new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', ({ violatedDirective }) => {
          if (violatedDirective !== 'connect-src') resolve(violatedDirective);
        });
        document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }));
      }),
    }))()`);
    expect(world).toEqual({
      names: ['dispose', 'generate', 'info', 'openPicture', 'plan', 'savePicture', 'stream'],
      node: ['undefined', 'undefined'],
      network: 'refused',
      script: 'script-src-elem',
    });
    const calls = await page.evaluate(`(async () => {
      const { detailGuidance } = window;
      const options = { classLabel: 7, seed: 7, numInferenceSteps: 4 };
      const bad = await detailGuidance.generate({ classLabel: 99 }).outcome;
      const steps = [];
      const stream = detailGuidance.stream(options);
      let outcome = await stream.next();
      while (outcome.ok && !outcome.value.done) {
        steps.push(outcome.value.step.step);
        outcome = await stream.next();
      }
      const long = { ...options, numInferenceSteps: 500 };
      const run = detailGuidance.generate(long, { onStep: () => run.stop() });
      const stopped = await run.outcome;
      const planned = await detailGuidance.plan(options);
      const running = detailGuidance.generate(long);
      detailGuidance.dispose();
      const disposed = [await running.outcome, await detailGuidance.plan(options)];
      return {
        bad: bad.error?.code,
        steps,
        pictures: outcome.value.result.images.length,
        stopped: stopped.error?.code,
        planned: planned.value.plan.steps.length,
        disposed: disposed.map(({ error }) => error?.code),
      };
    })()`);
    expect(calls).toEqual({
      bad: 'CLASS_OUT_OF_RANGE',
      steps: [1, 2, 3, 4],
      pictures: 1,
      stopped: 'ABORT_ERR',
      planned: 4,
      disposed: ['DISPOSED', 'DISPOSED'],
    });
    // A page that is loaded again has a connection again.
    await page.reload();
    await page.getByText('fashion-mnist-dit on').waitFor();
  }, 120_000);

  test('a second instance shows the window of the first, and ends', async () => {
    const data = join(home, 'shared');
    const first = await start([], {}, data);
    await (await first.page(/page\/index\.html$/)).getByText('fashion-mnist-dit on').waitFor();
    const second = await start([], {}, data);
    expect(await second.ended).toBe(0);
    await first.until(() => first.events.some(({ focus }) => focus === true));
    expect(first.child.exitCode).toBeNull();
  }, 120_000);

  describe.each([
    ['closing the window', (run: ElectronRun) => run.page(/./).then((page) => page.evaluate('window.close()'))],
    ['SIGTERM', (run: ElectronRun) => Promise.resolve(void run.child.kill('SIGTERM'))],
    ['a crash of the application', (run: ElectronRun) => Promise.resolve(void run.child.kill('SIGKILL'))],
  ])('%s in mid-run', (_name, end) => {
    test('leaves no process and no half file', async () => {
      const saved = join(base, `saved-${started}`);
      await mkdir(saved);
      const run = await start([], { TEST_SAVE_AS: join(saved, 'picture.png') });
      const page = await run.page(/page\/index\.html$/);
      await page.getByText('fashion-mnist-dit on').waitFor();
      await page.getByLabel('Steps').fill('1000');
      await page.getByRole('button', { name: 'Make a picture' }).click();
      await page.getByText(/^step \d+ of 1000$/).waitFor();
      expect(run.processes.length).toBeGreaterThan(2);
      await end(run).catch(() => undefined);
      await run.ended;
      for (let waited = 0; run.processes.length > 0 && waited < 100; waited++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(run.processes).toEqual([]);
      expect(await readdir(saved)).toEqual([]);
    }, 120_000);
  });

  test('the studio in a window: pictures of the same bytes, and nothing listens', async () => {
    const run = await start(['--studio']);
    const page = await run.page(/^studio:\/\/app\/$/);
    await page.getByText('fashion-mnist-dit').first().waitFor();
    if (process.env.TEST_SCREENSHOTS) await page.screenshot({ path: join(process.env.TEST_SCREENSHOTS, 'studio.png') });
    const bytes = await page.evaluate<number[]>(`(async () => {
      const body = JSON.stringify({ classLabel: 7, seed: 7, numInferenceSteps: 4 });
      const headers = { 'content-type': 'application/json' };
      const job = await (await fetch('/v1/jobs', { method: 'POST', headers, body })).json();
      await new Promise((resolve) => new EventSource(job.events).addEventListener('done', resolve));
      return [...new Uint8Array(await (await fetch('/v1/jobs/' + job.id + '/images/0')).arrayBuffer())];
    })()`);
    const expected = await here({ classLabel: 7, seed: 7, numInferenceSteps: 4 });
    expect(Buffer.from(bytes).equals(Buffer.from(expected.toPng()))).toBe(true);
    await run.until(() => run.events.at(-1)?.setProgressBar === -1);
    // The one port is the tests' own.
    const sockets = run.processes.flatMap((pid) => listening(pid));
    expect(sockets).toHaveLength(1);
  }, 120_000);

  test('the gallery of the studio is a folder of the user: what is made is in it, other files are left alone', async () => {
    const [data, folder] = [join(home, 'data-gallery'), join(home, 'chosen')];
    await mkdir(data);
    await mkdir(folder);
    await writeFile(join(data, 'gallery.json'), JSON.stringify({ folder }));
    const options = { classLabel: 8, seed: 3, numInferenceSteps: 4, guidance: {} };
    await writeFile(join(folder, 'from Node.png'), (await here(options)).toPng());
    await writeFile(join(folder, 'holiday.png'), 'no picture');
    const run = await start(['--studio'], {}, data);
    const page = await run.page(/^studio:\/\/app\/$/);
    await page.getByRole('button', { name: 'Make Conditional', exact: true }).click();
    await run.until(async () => (await readdir(folder)).includes('conditional-t-shirt-top-7.png'));
    const expected = await here({ classLabel: 0, seed: 7, guidance: {} });
    const written = await readFile(join(folder, 'conditional-t-shirt-top-7.png'));
    expect(written.equals(Buffer.from(expected.toPng()))).toBe(true);
    await page.getByRole('link', { name: 'Gallery' }).click();
    await page.getByText('2 pictures in this gallery.', { exact: false }).waitFor();
    await page.getByText('holiday.png is damaged: it is no PNG. It is left out of the gallery.').waitFor();
    await page.locator('.gallery img').nth(1).waitFor();
    if (process.env.TEST_SCREENSHOTS)
      await page.screenshot({ path: join(process.env.TEST_SCREENSHOTS, 'gallery.png') });
    await page.getByRole('button', { name: /Conditional: Bag/ }).click();
    await page.getByRole('button', { name: 'Take its settings' }).click();
    await settles(() => page.getByLabel('Seed', { exact: true }).inputValue(), '3');
    await page.getByRole('link', { name: 'Gallery' }).click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('1 picture in this gallery.', { exact: false }).waitFor();
    expect((await readdir(folder)).sort()).toEqual(['conditional-t-shirt-top-7.png', 'holiday.png']);
    const world = await page.evaluate(`(async () => ({
      host: Object.keys(window.detailGuidanceHost),
      node: [typeof require, typeof process],
      outside: (await window.detailGuidanceHost.gallery.read('../data-gallery/gallery.json')).error.code,
      foreign: (await window.detailGuidanceHost.gallery.remove('holiday.png')).error.code,
      forged: (await window.detailGuidanceHost.gallery.write(new Uint8Array(9), 'x')).error.code,
    }))()`);
    expect(world).toEqual({
      host: ['gallery'],
      node: ['undefined', 'undefined'],
      outside: 'BAD_OPTION',
      foreign: 'BAD_OPTION',
      forged: 'BAD_TENSOR',
    });
  }, 120_000);
});

/** The sockets that a process listens at. */
function listening(pid: number): string[] {
  const tables = ['tcp', 'tcp6'].flatMap((name) =>
    execFileSync('cat', [`/proc/net/${name}`], { encoding: 'utf8' }).split('\n'),
  );
  const open = new Set(
    tables.map((line) => line.trim().split(/\s+/)).flatMap((row) => (row[3] === '0A' ? [row[9]] : [])),
  );
  const links = execFileSync('sh', ['-c', `readlink /proc/${pid}/fd/* || true`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return [...new Set([...links.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode!))].filter((inode) =>
    open.has(inode),
  );
}

suite('inside an archive', () => {
  /** An application of `api.js` in an archive that leaves out what matches. */
  async function archive(name: string, unpack: string): Promise<string> {
    const folder = join(base, name);
    await mkdir(folder);
    await installIn(folder);
    await cp(join(__dirname, 'electron', 'api.js'), join(folder, 'main.js'));
    // A bundle of the application's own that was left in the archive.
    await cp(join(root, 'models', 'embedded'), join(folder, 'bundle'), { recursive: true });
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ name, version: '1.0.0', type: 'module', main: 'main.js' }),
    );
    const place = join(base, `${name}-electron`);
    const resources = layElectron(electron!, place);
    const asar = join(electron!.modules, '@electron', 'asar', 'bin', 'asar.js');
    execFileSync(process.execPath, [asar, 'pack', folder, join(resources, 'app.asar'), '--unpack', unpack], {
      stdio: 'pipe',
    });
    await symlink(libtorch, join(resources, 'libtorch'), 'dir');
    await rm(folder, { recursive: true });
    return join(place, 'electron');
  }

  const answers = async (program: string) => {
    const home = await mkdtemp(join(base, 'home-'));
    const run = await ElectronRun.start(program, [`--user-data-dir=${home}`], elsewhere(home));
    runs.push(run);
    const code = await run.ended;
    return { code, said: Object.assign({}, ...run.events) as Record<string, unknown>, run };
  };

  test('only the addon and the model have to be left out of it', async () => {
    const program = await archive('partly', '{**/*.node,**/models/embedded/**}');
    const { code, said, run } = await answers(program);
    const expected = await here({ classLabel: 7, seed: 7, numInferenceSteps: 4 });
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(expected.toPng()).digest('hex');
    expect([code, said]).toEqual([
      0,
      {
        info: expect.objectContaining({ name: 'fashion-mnist-dit', device: 'cpu', size: { width: 28, height: 28 } }),
        generate: { steps: 4, phases: ['sampling'], evaluations: expect.any(Number), sha256 },
        seeds: [7, 8, 9],
        stream: { read: 4, sha256 },
        left: true,
        plan: [4, true],
        aborted: ['AbortError', 'ABORT_ERR', 'The operation was aborted by its signal.'],
        bad: ['DetailGuidanceError', 'CLASS_OUT_OF_RANGE', expect.stringContaining('received 99')],
        callback: ['Error', null, 'mine'],
        unclonable: ['DetailGuidanceError', 'BAD_OPTION', expect.stringContaining('plain data')],
        nowhere: ['DetailGuidanceError', 'BUNDLE_NOT_FOUND', expect.stringContaining('/nowhere does not exist')],
        packed: ['DetailGuidanceError', 'BUNDLE_NOT_FOUND', expect.stringContaining("asarUnpack: '**/bundle/**'")],
        killed: ['DetailGuidanceError', 'PROCESS_ENDED'],
        told: 'PROCESS_ENDED',
        after: ['DetailGuidanceError', 'PROCESS_ENDED'],
        ready: 200,
        events: expect.arrayContaining(['event: started', 'event: step', 'event: done']),
        served: sha256,
        foreign: 403,
        running: true,
        disposed: ['DetailGuidanceError', 'DISPOSED', 'The process that has the model was ended.'],
      },
    ]);
    expect(run.processes).toEqual([]);
  }, 240_000);

  test('where nothing was left out, the error says what to leave out', async () => {
    const { code, said } = await answers(await archive('whole', '**/*.nothing'));
    expect(code).toBe(1);
    expect(said.failed).toEqual([
      'DetailGuidanceError',
      'BUNDLE_NOT_FOUND',
      expect.stringContaining("asarUnpack: '**/node_modules/detail-guidance/models/embedded/**'"),
    ]);
  }, 120_000);
});

suite('types', () => {
  test("the example fits Electron's own declarations", async () => {
    const folder = join(base, 'types');
    await cp(example, folder, { recursive: true });
    const modules = join(folder, 'node_modules');
    await mkdir(join(modules, '@types'), { recursive: true });
    await symlink(root, join(modules, 'detail-guidance'), 'dir');
    await symlink(join(electron!.modules, 'electron'), join(modules, 'electron'), 'dir');
    await symlink(join(root, 'node_modules', '@types', 'node'), join(modules, '@types', 'node'), 'dir');
    const compilerOptions = {
      target: 'es2022',
      module: 'nodenext',
      lib: ['es2023', 'dom', 'dom.iterable', 'esnext.disposable'],
      strict: true,
      noEmit: true,
      allowJs: true,
      checkJs: true,
      skipLibCheck: true,
    };
    const include = ['main.js', 'studio.js', 'page/page.js'];
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }));
    let complaints = '';
    try {
      execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
        encoding: 'utf8',
      });
    } catch (error) {
      complaints = (error as { stdout: string }).stdout;
    }
    expect(complaints).toBe('');
  }, 120_000);
});
