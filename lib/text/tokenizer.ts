/** A bundle's tokenizer: a prompt becomes the numbers that its text encoder takes. */
import { readFile } from 'node:fs/promises';

import { Tokenizer } from '@huggingface/tokenizers';

import type { TextEncoderManifest } from '../bundle';
import { DetailGuidanceError } from '../validation/errors';

import { cleanPrompt } from './cleaning';
import { surround, type TokenIds } from './surround';

/** Tokens of a prompt, and the part of it that did not fit. */
export interface TokenizedPrompt extends Omit<TokenIds, 'removed'> {
  /** The end of the prompt that was cut off, as the tokenizer spells it; null when all of it fits. */
  removed: string | null;
}

export class PromptTokenizer {
  /** Use {@link loadTokenizer}. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly manifest: TextEncoderManifest['tokenizer'],
  ) {}

  /** @param maxSequenceLength length of the result where the tokenizer has none of its own */
  tokenize(text: string, maxSequenceLength: number): TokenizedPrompt {
    const { maxLength, cleaning } = this.manifest;
    const { ids: content } = this.tokenizer.encode(cleanPrompt(text, cleaning), { add_special_tokens: false });
    const { ids, mask, removed } = surround(content, maxLength ?? maxSequenceLength, this.manifest);
    return { ids, mask, removed: removed.length > 0 ? this.tokenizer.decode(removed).trim() : null };
  }
}

/**
 * Reads a `tokenizer.json`.
 *
 * @param file path of it
 * @param encoder what the bundle says of the encoder and its tokenizer
 * @param name of the encoder, for messages
 * @throws BUNDLE_INVALID when the file is not such a tokenizer, or one with more tokens than the encoder has embeddings
 */
export async function loadTokenizer(
  file: string,
  encoder: TextEncoderManifest,
  name: string,
): Promise<PromptTokenizer> {
  const tokenizer = await read(file, name);
  const { padId, startId, endId } = encoder.tokenizer;
  const ids = [padId, startId ?? 0, endId];
  for (const id of tokenizer.get_vocab(true).values()) ids.push(id);
  const largest = ids.reduce((most, id) => Math.max(most, id), 0);
  if (largest >= encoder.vocabularySize) {
    const expected = `token numbers below ${encoder.vocabularySize}`;
    throw new DetailGuidanceError(
      'BUNDLE_INVALID',
      `The tokenizer of ${name} (${encoder.tokenizer.file}) does not fit its encoder: it gives token numbers up to ${largest}, and the encoder has ${encoder.vocabularySize} embeddings; ${expected} would be right.`,
      { found: largest, expected },
    );
  }
  return new PromptTokenizer(tokenizer, encoder.tokenizer);
}

async function read(file: string, name: string): Promise<Tokenizer> {
  try {
    return new Tokenizer(JSON.parse(await readFile(file, 'utf8')) as object, {});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DetailGuidanceError(
      'BUNDLE_INVALID',
      `The tokenizer of ${name} cannot be read (${reason}); a tokenizer.json of the tokenizers library would be right.`,
      { found: file, expected: 'a tokenizer.json', cause },
    );
  }
}
