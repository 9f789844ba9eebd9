/** A look at a stranger's bundle: what its process ends in is the result. Needs the build. */
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { checkBundle } from '../../lib/check';
import { packageRoot } from '../../lib/files/packageRoot';
import { archive } from '../hostile/archive';

import { run } from './cli/run';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'));
  await cp(join(packageRoot(), 'models', 'embedded'), folder, { recursive: true });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test('a good bundle: what is in it, and that it was evaluated', async () => {
  const { ok, report, failure, confinement } = await checkBundle(folder);
  expect({ ok, failure }).toEqual({ ok: true, failure: null });
  expect(report).toMatchObject({ blocks: 8, files: 4, evaluation: { width: 28, height: 28, finite: true } });
  expect(report!.peakMemory).toBeGreaterThan(report!.bytes);
  expect(Object.keys(confinement)).toEqual(['memory', 'files', 'network', 'programs']);
});

test('an altered file, and a model that calls what it must not', async () => {
  await appendFile(join(folder, 'transformer.pt'), 'x');
  expect(await checkBundle(folder)).toMatchObject({ ok: false, report: null, failure: { code: 'BUNDLE_CHECKSUM' } });
  const bytes = archive({ forward: 'torch.save(x, "touched.pt")\nreturn x' });
  const manifest = JSON.parse(await readFile(join(folder, 'bundle.json'), 'utf8')) as {
    files: Record<string, unknown>;
  };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  manifest.files['transformer.pt'] = { sha256, bytes: bytes.length };
  await writeFile(join(folder, 'transformer.pt'), bytes);
  await writeFile(join(folder, 'bundle.json'), JSON.stringify(manifest));
  const { failure } = await checkBundle(folder);
  expect(failure).toMatchObject({ code: 'OPERATOR_REFUSED', message: expect.stringContaining('aten::save') });
});

test('too little memory or time is said, and does not end this process', async () => {
  const { ok, failure } = await checkBundle('embedded', { memoryBytes: 2 ** 28 });
  expect(ok).toBe(false);
  expect(['CHECK_ENDED', 'OUT_OF_MEMORY', 'MODEL_UNREADABLE', 'MODEL_FAILED', 'BUNDLE_TOO_LARGE']).toContain(
    failure!.code,
  );
  await expect(checkBundle('embedded', { memoryBytes: 5 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  await expect(checkBundle('embedded', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

test('detail-guidance check', async () => {
  const good = await run(['check', folder]);
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toMatch(/evaluated once at 28 × 28: numbers are finite\n[^]*nothing was found\n$/);
  await rm(join(folder, 'classifier.pt'));
  const bad = await run(['check', folder, '--json']);
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.stdout)).toMatchObject({ ok: false, failure: { code: 'BUNDLE_NOT_FOUND' } });
});
