/** What each door of the package loads: inference does not pay for reports, sheets and statistics. */
import { execFileSync } from 'node:child_process';

import { expect, test } from '@jest/globals';

import { root } from '../../setup/cache.cjs';

/** Prints every module as it is found. */
const spy = `import { writeSync } from 'node:fs';
export async function resolve(name, context, next) {
  const found = await next(name, context);
  writeSync(1, found.url + '\\n');
  return found;
}`;
const register = `import { register } from 'node:module'; register(${JSON.stringify(asModule(spy))});`;

function asModule(text: string): string {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

/** The packages that an import loads. */
function loadedBy(door: string): string[] {
  const program = ['--import', asModule(register), '--input-type=module', '-e', `await import('${door}');`];
  const urls = execFileSync(process.execPath, program, { cwd: root, encoding: 'utf8' }).split('\n');
  const packages = urls.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
  return [...new Set(packages)].sort();
}

const inference = ['@huggingface/tokenizers', 'fastest-levenshtein', 'zod'];

test.each([
  ['detail-guidance', inference],
  ['detail-guidance/analysis', inference],
  // In the main process of a desktop application: no model, so no tokenizer, and no server.
  ['detail-guidance/electron', ['fastest-levenshtein', 'zod']],
  ['detail-guidance/evaluation', ['fastest-levenshtein', 'fft.js', 'zod']],
])('%s loads %j', (door, packages) => {
  expect(loadedBy(door)).toEqual(packages);
});

test('an error of one door is an instance of the class of another, and CommonJS has the same doors', () => {
  const program = `
    const { DetailGuidanceError } = require('detail-guidance');
    const { classCorrespondence } = require('detail-guidance/analysis');
    const { openPictures } = require('detail-guidance/evaluation');
    try { classCorrespondence({ data: new Float32Array(1), shape: [1, 1, 1], dtype: 'float32' }, [0]); }
    catch (error) { console.log(error instanceof DetailGuidanceError, error.code); }
    openPictures('nowhere').catch((error) => console.log(error instanceof DetailGuidanceError, error.code));`;
  const printed = execFileSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' });
  expect(printed).toBe('true BAD_TENSOR\ntrue BAD_OPTION\n');
});
