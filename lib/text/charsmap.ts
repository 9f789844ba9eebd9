/**
 * The character map of a SentencePiece model (`precompiled_charsmap` of a tokenizer.json): which pieces of text become
 * which. @huggingface/tokenizers replaces it by NFKC, which joined emoji and some marks do not follow.
 *
 * As `Precompiled` of the tokenizers library does it: grapheme by grapheme where a grapheme is short, else character by
 * character; of the pieces that a text begins with, the shortest counts.
 */
import type { Tokenizer } from '@huggingface/tokenizers';

/** Graphemes of so many bytes and more are looked up character by character. */
const longGrapheme = 6;

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const encoder = new TextEncoder();

/** A double-array trie (Darts) over UTF-8, and the texts that its leaves point to. */
export class CharacterMap {
  readonly #units: Uint32Array;
  readonly #texts: Buffer;

  /**
   * @param encoded base64: bytes of the trie (uint32), the trie, the texts, each ended by a zero
   * @throws RangeError when it is cut off
   */
  constructor(encoded: string) {
    const bytes = Buffer.from(encoded, 'base64');
    const trieBytes = bytes.length < 4 ? NaN : bytes.readUInt32LE(0);
    if (Number.isNaN(trieBytes) || trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length) {
      throw new RangeError(`its character map has ${bytes.length} bytes, and says ${trieBytes} of its first part`);
    }
    this.#units = Uint32Array.from({ length: trieBytes / 4 }, (_, index) => bytes.readUInt32LE(4 + 4 * index));
    this.#texts = bytes.subarray(4 + trieBytes);
  }

  normalize(text: string): string {
    let result = '';
    for (const { segment } of graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) < longGrapheme ? this.#find(segment) : null;
      if (whole !== null) result += whole;
      else for (const character of segment) result += this.#find(character) ?? character;
    }
    return result;
  }

  /** What stands for `piece`; null when nothing that it begins with is in the map. */
  #find(piece: string): string | null {
    const units = this.#units;
    let place = offset(units[0] ?? 0);
    for (const byte of encoder.encode(piece)) {
      place = (place ^ byte) >>> 0;
      const unit = units[place];
      if (unit === undefined || label(unit) !== byte) return null;
      place = (place ^ offset(unit)) >>> 0;
      if ((unit >>> 8) & 1) return this.#textAt((units[place] ?? 0) & 0x7fffffff);
    }
    return null;
  }

  #textAt(start: number): string {
    const end = this.#texts.indexOf(0, start);
    return this.#texts.toString('utf8', start, end < 0 ? this.#texts.length : end);
  }
}

const label = (unit: number) => (unit & 0x800000ff) >>> 0;
const offset = (unit: number) => ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;

/** Has a tokenizer follow its own character maps. */
export function useCharacterMaps({ normalizer }: Tokenizer): void {
  for (const part of [normalizer, ...((normalizer as { normalizers?: Normalizer[] } | null)?.normalizers ?? [])]) {
    const { type, precompiled_charsmap: encoded } = (part?.config ?? {}) as {
      type?: string;
      precompiled_charsmap?: string | null;
    };
    if (!part || type !== 'Precompiled' || typeof encoded !== 'string') continue;
    const map = new CharacterMap(encoded);
    part.normalize = (text) => map.normalize(text);
  }
}

type Normalizer = NonNullable<Tokenizer['normalizer']>;
