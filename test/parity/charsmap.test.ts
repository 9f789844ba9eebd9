/**
 * Normalisation by a SentencePiece model's own character map, against the tokenizers library: every character there is,
 * and texts of joined emoji, marks and letters in parts.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Tokenizer } from '@huggingface/tokenizers';

import { CharacterMap, useCharacterMaps } from '../../lib/text/charsmap';

import { python } from './oracle';

const suite = python.path ? describe : describe.skip;

suite(`character maps equal Python's${python.path ? '' : ` (skipped: ${python.reason})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'charsmap-'));
  let tokenizer: Tokenizer;
  let expected: { lines: string[]; normalised: string[]; ids: number[][] };

  beforeAll(() => {
    const script = join(__dirname, 'reference', 'charsmap.py');
    const { status, stderr } = spawnSync(python.path!, [script, folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as typeof expected;
    tokenizer = new Tokenizer(JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as object, {});
    useCharacterMaps(tokenizer);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('1. every character, and texts that are joined of several', () => {
    const { lines, normalised } = expected;
    expect(lines.length).toBeGreaterThan(190_000);
    const wrong = lines.filter((line, index) => tokenizer.normalizer!.normalize(line) !== normalised[index]);
    expect(
      wrong.slice(0, 20).map((line) => [...line].map((character) => character.codePointAt(0)!.toString(16))),
    ).toEqual([]);
  });

  test('2. the tokens of such texts', () => {
    const { lines, ids } = expected;
    const found = lines.slice(-ids.length).map((line) => tokenizer.encode(line, { add_special_tokens: false }).ids);
    expect(found).toEqual(ids);
  });
});

test.each([
  ['nothing', ''],
  ['too little', Buffer.from([1, 2]).toString('base64')],
  ['a trie that is not there', Buffer.from([255, 255, 255, 255, 0, 0]).toString('base64')],
  ['no whole units', Buffer.from([3, 0, 0, 0, 1, 2, 3]).toString('base64')],
])('a map of %s is refused', (_, encoded) => {
  expect(() => new CharacterMap(encoded)).toThrow(RangeError);
});

test('a trie that points anywhere ends in a text', () => {
  for (let seed = 1; seed < 2000; seed++) {
    const bytes = Buffer.alloc(4 + 64 + 16, 0);
    bytes.writeUInt32LE(64, 0);
    for (let at = 4; at < bytes.length; at++) bytes[at] = (seed * 2654435761 * at) >>> 13;
    expect(typeof new CharacterMap(bytes.toString('base64')).normalize('aé😀\u200d')).toBe('string');
  }
});
