import { describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openBundle } from '../../../lib/bundle';
import { testPython } from '../../../scripts/test-packages.cjs';

import { run } from './run';

const adapter = join(__dirname, '..', '..', '..', 'examples', 'adapter', 'grating.py');

test('neither a checkpoint nor an adapter is a mistake', async () => {
  const { code, stderr } = await run(['export', '--out', 'bundle']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^BAD_OPTION: .*--from/);
});

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-export-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Without the private environment the command would install it.
const withPython = testPython().path === null ? describe.skip : describe;

withPython('with Python', () => {
  test('the example of an adapter becomes a bundle, and its progress is told', async () => {
    await inFolder(async (folder) => {
      const out = join(folder, 'grating');
      const { code, stdout, stderr } = await run(['export', '--adapter', adapter, '--out', out, '--json']);
      expect(stderr).toContain('1/1 components');
      expect([code, JSON.parse(stdout)]).toEqual([0, { out, warnings: [] }]);
      const bundle = await openBundle(out);
      expect(bundle.transformer.blocks).toEqual([{ path: 'blocks.*', streams: ['image'] }]);
      const before = readFileSync(join(out, 'bundle.json'));
      const again = await run(['export', '--adapter', adapter, '--out', out]);
      expect(again.stderr).toMatch(/^OUTPUT_EXISTS: .*exists already/);
      expect(again.code).toBe(1);
      expect(readFileSync(join(out, 'bundle.json'))).toEqual(before);
    });
  }, 120_000);

  test.each([
    [
      'a picture of one channel for a latent of three',
      '"range": [-1, 1], "channels": CHANNELS',
      '"range": [-1, 1], "channels": 1',
    ],
    ['a key that bundle.json does not have', '"family": "grating"', '"family": "grating", "sise": 3'],
    ['inputs in another order than those of forward()', '"role": "timestep"', '"role": "mask"'],
  ])(
    'a description that does not fit is refused by the loader: %s',
    async (_, from, to) => {
      await inFolder(async (folder) => {
        const source = readFileSync(adapter, 'utf8');
        expect(source).toContain(from);
        writeFileSync(join(folder, 'wrong.py'), source.replace(from, to));
        const out = join(folder, 'wrong');
        const { code, stderr } = await run(['export', '--adapter', join(folder, 'wrong.py'), '--out', out]);
        expect(stderr).toMatch(/EXPORT_FAILED: The bundle was written, but the loader does not take it: \S/);
        expect(code).toBe(1);
        expect(existsSync(out)).toBe(false);
      });
    },
    120_000,
  );

  test('a model file of a kind that cannot be exported is refused by its name', async () => {
    await inFolder(async (folder) => {
      writeFileSync(join(folder, 'model.gguf'), Buffer.from('GGUF\x03\0\0\0'));
      const { code, stderr } = await run(['export', '--from', join(folder, 'model.gguf'), '--out', join(folder, 'b')]);
      expect(stderr).toMatch(/^CHECKPOINT_UNSUPPORTED: model\.gguf is a GGUF file/);
      expect(code).toBe(1);
    });
  }, 120_000);

  test("an error of the exporter is this package's own, with its code", async () => {
    const { code, stdout, stderr } = await run(['export', '--from', tmpdir(), '--out', 'bundle', '--json']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^CHECKPOINT_NOT_FOUND: .*model_index\.json/);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CHECKPOINT_NOT_FOUND' } });
  }, 120_000);
});
