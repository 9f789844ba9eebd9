/** A bundle's tokenizer: a prompt becomes the numbers that its text encoder takes. */
import { Tokenizer } from '@huggingface/tokenizers';

import type { TextEncoderManifest } from '../bundle';
import { DetailGuidanceError } from '../validation/errors';
import { invalid, reasonOf } from '../validation/invalid';

import { useCharacterMaps } from './charsmap';
import { cleanPrompt } from './cleaning';
import { surround, type TokenIds } from './surround';
import { withinTime } from './timeLimit';

/** Tokens of a prompt, and the part of it that did not fit. */
export interface TokenizedPrompt extends Omit<TokenIds, 'removed'> {
  /** The end of the prompt that was cut off, as the tokenizer spells it; null when all of it fits. */
  removed: string | null;
}

export class PromptTokenizer {
  /** Use {@link loadTokenizer}. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly encoder: TextEncoderManifest,
  ) {}

  /** @param maxSequenceLength length of the result where the tokenizer has none of its own */
  tokenize(text: string, maxSequenceLength: number): TokenizedPrompt {
    const { file, maxLength, cleaning, kind } = this.encoder.tokenizer;
    const cleaned = cleanPrompt(text, cleaning);
    // CLIP's tokenizer lower-cases letter by letter: a capital sigma that ends a word becomes σ, where JavaScript writes ς.
    const spelt = kind === 'clip' ? cleaned.replaceAll('Σ', 'σ') : cleaned;
    return follow(file, () => {
      const { ids: content } = this.tokenizer.encode(spelt, { add_special_tokens: false });
      requireTokens(content, this.encoder, `The tokenizer ${file}`);
      const { ids, mask, removed } = surround(content, maxLength ?? maxSequenceLength, this.encoder.tokenizer);
      return { ids, mask, removed: removed.length > 0 ? this.tokenizer.decode(removed).trim() : null };
    });
  }
}

/** For a prompt, and to read the file: some milliseconds, and a second for the largest vocabularies; more on a busy machine. */
const patience = 60_000;

/** What a tokenizer.json says how to do, regular expressions among it. @throws BUNDLE_INVALID when it fails, or goes on */
function follow<Result>(file: string, work: () => Result): Result {
  const refused = (shown: string, cause?: unknown) =>
    invalid(`The tokenizer ${file}`, 'a tokenizer.json of the tokenizers library', file, {
      code: 'BUNDLE_INVALID',
      shown,
      cause,
    });
  const tooLong = () => refused(`one that takes longer than ${patience / 1000} seconds`);
  try {
    return withinTime(patience, work, tooLong);
  } catch (error) {
    throw error instanceof DetailGuidanceError ? error : refused(`another: ${reasonOf(error)}`, error);
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
  const { file, padId, startId, endId } = encoder.tokenizer;
  const { tokenizer, ids } = follow(file, () => {
    const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(bytes)) as object, {});
    useCharacterMaps(tokenizer);
    return { tokenizer, ids: [padId, startId ?? 0, endId, ...tokenizer.get_vocab(true).values()] };
  });
  requireTokens(ids, encoder, `The tokenizer of ${name}`);
  return new PromptTokenizer(tokenizer, encoder);
}

/** @throws BUNDLE_INVALID unless all of them have a row in the encoder's embedding */
function requireTokens(
  ids: readonly number[],
  { vocabularySize, tokenizer: { file } }: TextEncoderManifest,
  name: string,
): void {
  const at = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (at < 0) return;
  throw invalid(name, `token numbers below ${vocabularySize}`, ids[at], {
    code: 'BUNDLE_INVALID',
    note: `the encoder has as many embeddings, so ${file} belongs to another`,
  });
}
