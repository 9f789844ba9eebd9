/** A tokenizer.json is a stranger's: what does not end, fails or gives no numbers is refused by code. */
import { expect, test } from '@jest/globals';

import { loadTokenizer } from '../../../lib/text';
import { withinTime } from '../../../lib/text/timeLimit';

const encoder = {
  file: 'encoder.pt',
  dtype: 'float32' as const,
  inputs: ['ids' as const],
  outputs: ['sequence' as const],
  vocabularySize: 100,
  tokenizer: { file: 'tokenizer.json', kind: 't5' as const, padId: 0, endId: 1, cleaning: 'none' as const },
};
const refused = expect.objectContaining({ code: 'BUNDLE_INVALID' });

/** Whole words. */
const words = (vocab: Record<string, unknown>, parts: object = {}) =>
  Buffer.from(
    JSON.stringify({
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: 'x' },
      ...parts,
    }),
  );

test('work that does not end is ended, in a loop and in a regular expression', () => {
  const late = () => new Error('late');
  expect(withinTime(10_000, () => 7, late)).toBe(7);
  expect(() => withinTime(50, () => /^(\w+\s?)*$/.test(`${'a'.repeat(60)}!`), late)).toThrow('late');
  expect(() =>
    withinTime(
      50,
      () => {
        for (;;);
      },
      late,
    ),
  ).toThrow('late');
  expect(() =>
    withinTime(
      50,
      () => {
        throw new Error('its own');
      },
      late,
    ),
  ).toThrow('its own');
});

test('what is no tokenizer', () => {
  for (const bytes of [
    Buffer.from('null'),
    Buffer.from('{'),
    Buffer.from('[]'),
    words({ x: 0 }, { model: null }),
    words({ x: 0 }, { pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
    words({ x: 0.5 }),
    words({ x: -1 }),
    words({ x: 'one' }),
    words({ x: 100 }),
  ]) {
    expect(() => loadTokenizer(bytes, encoder, 'text')).toThrow(refused as unknown as Error);
  }
});
