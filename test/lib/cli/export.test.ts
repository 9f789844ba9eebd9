import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

// Without the private environment the command would install it.
const withPython = testPython().path === null ? describe.skip : describe;

withPython('with Python', () => {
  test('the example of an adapter becomes a bundle, and its progress is told', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-export-'));
    try {
      const out = join(folder, 'grating');
      const { code, stdout, stderr } = await run(['export', '--adapter', adapter, '--out', out, '--json']);
      expect(stderr).toContain('1/1 components');
      expect([code, JSON.parse(stdout)]).toEqual([0, { out, warnings: [] }]);
      const bundle = await openBundle(out);
      expect(bundle.transformer.blocks).toEqual([{ path: 'blocks.*', streams: ['image'] }]);
      const before = readFileSync(join(out, 'bundle.json'));
      const again = await run(['export', '--adapter', adapter, '--out', out]);
      expect(again.stderr).toMatch(/^OUTPUT_UNWRITABLE: .*exists already/);
      expect(again.code).toBe(1);
      expect(readFileSync(join(out, 'bundle.json'))).toEqual(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 120_000);

  test("an error of the exporter is this package's own, with its code", async () => {
    const { code, stdout, stderr } = await run(['export', '--from', tmpdir(), '--out', 'bundle', '--json']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^CHECKPOINT_NOT_FOUND: .*model_index\.json/);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CHECKPOINT_NOT_FOUND' } });
  }, 120_000);
});
