/** A bundle's tokenizer: a prompt becomes the numbers that its text encoder takes. */
import { Tokenizer } from '@huggingface/tokenizers';

import type { TextEncoderManifest } from '../bundle';
import { invalid, reasonOf } from '../validation/invalid';

import { useCharacterMaps } from './charsmap';
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
    const { maxLength, cleaning, kind } = this.manifest;
    const cleaned = cleanPrompt(text, cleaning);
    // CLIP's tokenizer lower-cases letter by letter: a capital sigma that ends a word becomes σ, where JavaScript writes ς.
    const spelt = kind === 'clip' ? cleaned.replaceAll('Σ', 'σ') : cleaned;
    const { ids: content } = this.tokenizer.encode(spelt, { add_special_tokens: false });
    const { ids, mask, removed } = surround(content, maxLength ?? maxSequenceLength, this.manifest);
    return { ids, mask, removed: removed.length > 0 ? this.tokenizer.decode(removed).trim() : null };
  }
}

/**
 * Reads a `tokenizer.json`.
 *
 * @param bytes what is in it
 * @param encoder what the bundle says of the encoder and its tokenizer
 * @param name of the encoder, for messages
 * @throws BUNDLE_INVALID when the file is not such a tokenizer, or one with more tokens than the encoder has embeddings
 */
export function loadTokenizer(bytes: Uint8Array, encoder: TextEncoderManifest, name: string): PromptTokenizer {
  const tokenizer = read(bytes, encoder, name);
  const { padId, startId, endId } = encoder.tokenizer;
  const ids = [padId, startId ?? 0, endId];
  for (const id of tokenizer.get_vocab(true).values()) ids.push(id);
  const largest = ids.reduce((most, id) => Math.max(most, id), 0);
  if (largest >= encoder.vocabularySize) {
    throw invalid(`The tokenizer of ${name}`, `token numbers below ${encoder.vocabularySize}`, largest, {
      code: 'BUNDLE_INVALID',
      note: `the encoder has as many embeddings, so ${encoder.tokenizer.file} belongs to another`,
    });
  }
  return new PromptTokenizer(tokenizer, encoder.tokenizer);
}

function read(bytes: Uint8Array, encoder: TextEncoderManifest, name: string): Tokenizer {
  try {
    const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(bytes)) as object, {});
    useCharacterMaps(tokenizer);
    return tokenizer;
  } catch (cause) {
    throw invalid(`The tokenizer of ${name}`, 'a tokenizer.json of the tokenizers library', encoder.tokenizer.file, {
      code: 'BUNDLE_INVALID',
      note: reasonOf(cause),
      cause,
    });
  }
}
