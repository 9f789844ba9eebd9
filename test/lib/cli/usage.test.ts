import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { program, run } from './run';

describe('a person who asks', () => {
  test('for help gets every command, on stdout', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const command of ['demo', 'generate', 'inspect', 'doctor']) expect(stdout).toContain(command);
  });

  test('for nothing, or for help, gets the same', async () => {
    const help = await run(['--help']);
    expect(await run([])).toEqual(help);
    expect(await run(['help'])).toEqual(help);
    expect(await run(['help', 'generate'])).toEqual(await run(['generate', '--help']));
  });

  test('for a version gets that of package.json', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(await run(['version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

test('help of what is no command is a mistake, and shows what there is', async () => {
  const { code, stdout, stderr } = await run(['help', 'paint']);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^Usage: .*\nBAD_OPTION: there is no such command\n$/s);
});

test('a reader that stops early is no error', async () => {
  const { code, stderr } = await run(['generate', '--help'], { closeStdout: true });
  expect([code, stderr]).toEqual([0, '']);
});

test('progress and errors that nobody reads change nothing else', async () => {
  const work = await run(['generate', 'embedded', '--class', '1', '--steps', '20', '--out', '-'], {
    closeStderr: true,
  });
  expect(work.code).toBe(0);
  expect(work.stdout).toContain('IEND');
  expect((await run(['paint'], { closeStderr: true })).code).toBe(1);
});

describe('a mistake ends with exit code 1, one line with its code, and no stack', () => {
  const mistakes: [string, string[], RegExp][] = [
    ['an unknown option', ['generate', 'embedded', '--sede', '1'], /^BAD_OPTION: unknown option '--sede'.*--seed/],
    ['an unknown command', ['paint'], /^BAD_OPTION: unknown command 'paint'/],
    ['a missing argument', ['generate'], /^BAD_OPTION: missing required argument 'bundle'/],
    [
      'a value that is no number',
      ['generate', 'embedded', '--cfg-scale', 'high'],
      /^BAD_OPTION: --cfg-scale: expected a finite number, received 'high'/,
    ],
    ['a bundle that is not there', ['inspect', join(tmpdir(), 'no-such-bundle')], /^BUNDLE_NOT_FOUND: /],
    [
      'an unwritable output',
      ['demo', '--out', join(tmpdir(), 'no-such-folder', 'a.png')],
      /^OUTPUT_UNWRITABLE: .*does not exist/,
    ],
    ...[
      ['generate', 'embedded', '--out', ''],
      ['dump', 'embedded', '--out', ''],
      ['quantize', 'embedded', '--out='],
      ['pack-libtorch', ''],
    ].map((args): [string, string[], RegExp] => [
      `an empty name for ${args[0]}`,
      args,
      /^BAD_OPTION: \S+: expected the name of a f\w+, received ''/,
    ]),
    [
      'more pictures on a sheet than a call makes',
      ['demo', '--images-per-class', '9007199254740991', '--out', join(tmpdir(), 'a.png')],
      /^BAD_OPTION: --images-per-class: expected a whole number from 1 to 10000, received/,
    ],
    [
      'latents that are no file',
      ['generate', 'embedded', '--latents', 'no-such-file'],
      /^BAD_OPTION: no-such-file: expected a safetensors file/,
    ],
  ];
  test.each(mistakes)('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect([code, stdout]).toEqual([1, '']);
  });

  test('with --json a program gets it as one document', async () => {
    const { code, stdout, stderr } = await run(['inspect', join(tmpdir(), 'no-such-bundle'), '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'BUNDLE_NOT_FOUND', expected: expect.any(String) } });
    expect(stderr).toMatch(/^BUNDLE_NOT_FOUND: /);
  });
});

const full = existsSync('/dev/full') ? test : test.skip;

full('what cannot be printed is an error, and no trace', () => {
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', `"${process.execPath}" "${program}" inspect embedded --json > /dev/full`],
    {
      encoding: 'utf8',
    },
  );
  expect([status, stderr]).toEqual([1, 'OUTPUT_UNWRITABLE: Standard output cannot be written: the disk is full.\n']);
});

const permission = ['--permission', '--experimental-permission'].find((flag) =>
  process.allowedNodeEnvironmentFlags.has(flag),
)!;

test.each([
  [['--no-addons'], /start Node without --no-addons/],
  [[permission, '--allow-fs-read=*'], /start Node with --allow-addons/],
  [[permission, `--allow-fs-read=${join(program, '..', '..', '*')}`], /./],
])('the doctor where Node is started with %j', (flags, remedy) => {
  const { status, stdout } = spawnSync(process.execPath, [...flags, program, 'doctor', '--json'], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: false,
    problems: [expect.stringMatching(remedy)],
    embedded: { ok: true },
  });
});

test("Node's permission model needs no more than the addon, and the folder that is written to", () => {
  const folder = mkdtempSync(join(tmpdir(), 'permission-'));
  // It is made smaller, for which there is a thread where Node allows one.
  const picture = join(__dirname, '../../../docs/images/demo.png');
  const flags = [permission, '--allow-addons', '--allow-fs-read=*', `--allow-fs-write=${join(folder, '*')}`];
  const out = join(folder, 'a.png');
  const args = ['generate', 'embedded', '--class', 'Coat', '--steps', '2', '--width', '28', '--height', '28'];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--no-warnings', ...flags, program, ...args, '--image', picture, '--out', out],
    { encoding: 'utf8' },
  );
  expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: `${out}\n` });
  expect(existsSync(out)).toBe(true);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a working folder that was removed is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'removed-'));
  for (const command of ['inspect embedded', 'generate embedded --class 1 --out a.png']) {
    mkdirSync(folder, { recursive: true });
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `cd "${folder}" && rmdir "${folder}" && "${process.execPath}" "${program}" ${command}`],
      { encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([
      1,
      `BAD_OPTION: The working folder ${folder} is no longer there: start from one that is.\n`,
    ]);
  }
});
