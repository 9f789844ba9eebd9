/** The reference of the API, of all four doors: every exported name and field says what it is, and what a public function takes is public. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';

test('TypeDoc finds nothing that has no comment, and no type that is not exported', () => {
  const typedoc = join(root, 'node_modules', 'typedoc', 'bin', 'typedoc');
  const run = () =>
    execFileSync(process.execPath, [typedoc, '--emit', 'none'], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  expect(run).not.toThrow();
}, 240_000);
