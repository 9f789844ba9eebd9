/** What is said when libtorch is there and the dynamic linker does not load it: the linker's own words, as they came. */
import { expect, test } from '@jest/globals';

import { notLoaded, refusedByNode } from '../../lib/native';

test.each([
  // sh -c 'ulimit -v 2000000; node dist/cli.js doctor'
  ['libcusparse.so.12: failed to map segment from shared object', 'OUT_OF_MEMORY', /raise the limit/],
  ['libtorch_cpu.so: cannot allocate memory in static TLS block', 'OUT_OF_MEMORY', /raise the limit/],
  ['libgomp.so.1: cannot open shared object file: No such file or directory', 'LIBTORCH_NOT_FOUND', /incomplete/],
  ['libtorch_cpu.so: file too short', 'LIBTORCH_NOT_FOUND', /incomplete/],
])('%s', (failure, code, words) => {
  const error = notLoaded('/opt/libtorch/lib', failure);
  expect(error).toMatchObject({ code, received: failure });
  expect(error.message).toMatch(words);
  expect(error.message).toContain('/opt/libtorch/lib');
});

test('a Node that loads no addons, or does not let them be looked for', () => {
  const refusal = (fields: object) => refusedByNode(Object.assign(new Error('refused'), fields));
  expect(refusal({ code: 'ERR_DLOPEN_DISABLED' })).toMatchObject({
    code: 'ADDON_NOT_BUILT',
    message: expect.stringMatching(/start Node without --no-addons\.$/),
  });
  const denied = { code: 'ERR_ACCESS_DENIED', permission: 'FileSystemRead', resource: '/opt/libtorch' };
  expect(refusal(denied)).toMatchObject({
    code: 'ADDON_NOT_BUILT',
    message: expect.stringContaining('refuses FileSystemRead of /opt/libtorch, which --allow-fs-read gives'),
  });
  const withoutFlag = { code: 'ERR_ACCESS_DENIED', permission: '', resource: '', message: 'fsync API is disabled' };
  expect(refusal(withoutFlag)?.message).toContain('refuses it: fsync API is disabled: start Node');
  expect(refusal({ code: 'ENOENT' })).toBeNull();
});
