import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { packageRoot } from '../../lib/files/packageRoot';
import { testPython } from '../../scripts/test-packages.cjs';
import { hasOwnFloat32, withoutInt8 } from '../processor';

const { path: python, reason } = testPython();
const withPython = python ? test : test.skip;

describe('bench/cuda/session.sh and run.sh --dry-run', () => {
  withPython(
    `runs all of it on the CPU${python ? '' : ` (${reason})`}`,
    () => {
      const session = mkdtempSync(join(tmpdir(), 'detail-guidance-bench-cuda-'));
      const words = ['--dry-run', '--seconds', '900', '--parts', 'small,small-quantised', '--out', session];
      const { status, stdout, stderr } = spawnSync('bash', ['bench/cuda/session.sh', ...words], {
        cwd: packageRoot(),
        encoding: 'utf8',
        env: { ...process.env, DETAIL_GUIDANCE_BENCH_PYTHON: python!, OMP_WAIT_POLICY: 'PASSIVE' },
      });
      expect(`${status} ${status === 0 ? '' : stdout + stderr}`).toBe('0 ');
      for (const part of ['results', 'training']) {
        expect(spawnSync('tar', ['-xJf', join(session, `${part}.tar.xz`), '-C', session]).status).toBe(0);
      }
      const log = readFileSync(join(session, 'training', 'log.jsonl'), 'utf8');
      const kinds = log
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { kind: string }).kind);
      expect(kinds.filter((kind) => kind !== 'loss')).toEqual([
        'options',
        'growth',
        'growth',
        'final',
        'final',
        'final',
      ]);
      const out = join(session, 'results');
      const { device, outcomes } = JSON.parse(readFileSync(join(out, 'checks.json'), 'utf8')) as {
        device: string;
        outcomes: { name: string; status: string; detail: string }[];
      };
      expect(device).toBe('cpu');
      const counted = (wanted: string) => outcomes.filter((outcome) => outcome.status === wanted).length;
      expect([counted('failed'), counted('skipped')]).toEqual([0, withoutInt8 ? 5 : 2]);
      expect(counted('passed')).toBeGreaterThanOrEqual(9);
      const resultsOf = (size: string) =>
        JSON.parse(readFileSync(join(out, `${size}-float32.json`), 'utf8')) as { name: string; ratio: number }[];
      const reportOf = (size: string): unknown =>
        JSON.parse(readFileSync(join(out, `${size}-float32.report.json`), 'utf8'));
      const both = ['detail-over-cfg@0.5', 'python-eager-over-ours@0.5'];
      expect(resultsOf('tiny').map(({ name }) => name)).toEqual(both);
      const gains = [...(hasOwnFloat32() ? ['attention'] : []), 'modulation', 'pack', 'residual', 'rotary'].map(
        (kind) => `unfused-${kind}-over-ours`,
      );
      expect(resultsOf('tiny-joint').map(({ name }) => name)).toEqual([...both, 'scale-0.5-over-1', ...gains]);
      const ways = ['int8', 'int8-all', 'fp8', 'weight-only'].map((way) => `bf16-over-${way}@0.5`);
      const { leftOut } = reportOf('tiny-quantised') as { leftOut: { name: string }[] };
      const named = [...resultsOf('tiny-quantised'), ...leftOut].map(({ name }) => name);
      expect(named.sort()).toEqual(ways.sort());
      for (const { ratio } of ['tiny', 'tiny-joint', 'tiny-quantised'].flatMap(resultsOf)) {
        expect(ratio).toBeGreaterThan(0);
      }
      expect(readFileSync(join(out, 'tiny-float32.md'), 'utf8')).toMatch(/Machine: .+/);
      expect(reportOf('tiny')).toMatchObject({
        size: 'tiny',
        device: 'cpu',
        precision: 'float32',
        steps: 2,
        machine: expect.stringMatching(/processors; cpu, float32/),
        results: both.map((name) => ({ name, seconds: [expect.any(Number), expect.any(Number)] })),
      });
    },
    400_000,
  );

  test('a part that does not exist is refused, with those that do', () => {
    const { status, stderr } = spawnSync('bash', ['bench/cuda/run.sh', '--dry-run', '--only', 'sd4'], {
      cwd: packageRoot(),
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/--only: expected some of checks small dit .*offload .*flux-compile.*, received sd4/);
  });
});
