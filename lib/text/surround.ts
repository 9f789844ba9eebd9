/** What surrounds the tokens of a prompt, by the kind of tokenizer; the rest of it is cut or padded to a length. */
import type { TokenizerManifest } from '../bundle';

export interface TokenIds {
  /** As many as the length, padding included. */
  ids: number[];
  /** 1 for a token, 0 for padding. */
  mask: number[];
  /** Tokens of the text that did not fit. */
  removed: number[];
}

/**
 * Cuts the tokens of a text, surrounds them and pads them, as transformers does with `padding='max_length'` and
 * `truncation=True`.
 *
 * @param content tokens of the text alone
 * @param length of the result
 */
export function surround(content: readonly number[], length: number, tokenizer: TokenizerManifest): TokenIds {
  const { kind, startId, endId, padId } = tokenizer;
  const before = kind === 'clip' ? [startId!] : [];
  const room = Math.max(0, length - before.length - 1);
  const tokens = [...before, ...content.slice(0, room), endId].slice(0, length);
  const padding = length - tokens.length;
  return {
    ids: [...tokens, ...new Array<number>(padding).fill(padId)],
    mask: [...tokens.map(() => 1), ...new Array<number>(padding).fill(0)],
    removed: content.slice(room),
  };
}
