/** The dump command, as a user's shell runs it. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { run } from './run';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-dump-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sampling = ['--class', '3', '--steps', '2', '--seed', '1', '--cfg-scale', '2', '--detail-scale', '0'];

test('1. writes the sites, branches and steps that are named, and ranges for a quantiser', async () => {
  const [out, ranges] = [join(folder, 'dump'), join(folder, 'ranges.json')];
  const outcome = await run(
    [
      ['dump', 'embedded', ...sampling, '--out', out, '--quantisation', ranges, '--json'],
      ['--sites', 'blocks.2', 'blocks.5.attention:attention', '--branches', 'all', '--record-steps', '1'],
      ['--percentiles', '50,99', '--tensors', '--tensor-dtype', 'float16', '--top', '2', '--tokens'],
    ].flat(),
  );
  expect([outcome.code, outcome.stderr.includes('Error')]).toEqual([0, false]);
  const summary = JSON.parse(outcome.stdout) as Record<string, unknown>;
  expect(summary).toMatchObject({ out, records: 4, quantisation: ranges, latentsFinite: true });
  const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8')) as { records: Record<string, unknown>[] };
  expect(index.records.map(({ site, branch, step }) => [site, branch, step])).toEqual(
    ['blocks.2.output.image', 'blocks.5.attention.attention'].flatMap((site) =>
      ['conditional', 'unconditional'].map((branch) => [site, branch, 1]),
    ),
  );
  const quantisation = JSON.parse(readFileSync(ranges, 'utf8')) as { percentiles: number[]; sites: unknown[] };
  expect(quantisation.percentiles).toEqual([50, 99]);
  expect(quantisation.sites).toHaveLength(2);
});

test('2. says in words what it wrote', async () => {
  const out = join(folder, 'words');
  const { code, stdout } = await run(['dump', 'embedded', ...sampling, '--out', out]);
  expect([code, stdout]).toEqual([0, `${out}: 16 records in 1 file\n`]);
});

test('--quiet names no files', async () => {
  const files = ['--out', join(folder, 'quiet'), '--quantisation', join(folder, 'quiet.json')];
  expect(await run(['dump', 'embedded', ...sampling, ...files, '--quiet'])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
});

test.each<[string, string[], string]>([
  ['nothing to write', [], 'BAD_OPTION'],
  ['a folder that is there', ['--out', tmpdir()], 'OUTPUT_EXISTS'],
  ['an unknown site', ['--out', 'never', '--sites', 'block.2'], 'SITE_NOT_FOUND'],
  ['a site with too many parts', ['--out', 'never', '--sites', 'a:b:c:d'], 'BAD_OPTION'],
  ['an unknown tap', ['--out', 'never', '--sites', 'blocks.2:outputs'], 'BAD_OPTION'],
])('3. refuses %s', async (_, flags, code) => {
  const outcome = await run(['dump', 'embedded', ...sampling, ...flags], { cwd: folder });
  expect([outcome.code, outcome.stdout]).toEqual([1, '']);
  expect(outcome.stderr).toMatch(new RegExp(`^${code}: `));
  expect(existsSync(join(folder, 'never'))).toBe(false);
});
