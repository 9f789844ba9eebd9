/** How CLIP's tokenizer lower-cases Greek, against transformers: 'ΑΣ' is α, σ</w>, not ς</w>. */
import { expect, test } from '@jest/globals';
import type { Tokenizer } from '@huggingface/tokenizers';

import { PromptTokenizer } from '../../../lib/text/tokenizer';

test.each([
  ['clip', 'ασ'],
  ['t5', 'ας'],
] as const)('%s', (kind, spelt) => {
  const seen: string[] = [];
  const lowering = {
    encode: (text: string) => {
      seen.push(text.toLowerCase());
      return { ids: [] };
    },
  } as unknown as Tokenizer;
  const tokenizer = { file: 'x', kind, padId: 0, startId: 1, endId: 2, cleaning: 'none' } as const;
  const encoder = { file: 'x', dtype: 'float32', inputs: [], outputs: [], vocabularySize: 3, tokenizer } as never;
  new PromptTokenizer(lowering, encoder).tokenize('ΑΣ', 8);
  expect(seen).toEqual([spelt]);
});
