/** What the families do to a prompt before it is tokenized. */
import { decodeHTML } from 'entities';

import type { TokenizerManifest } from '../bundle';

export function cleanPrompt(text: string, cleaning: TokenizerManifest['cleaning']): string {
  switch (cleaning) {
    case 'none':
      return text;
    case 'lower':
      return text.toLowerCase().trim();
    case 'html':
      return collapsed(decodeHTML(decodeHTML(text)));
  }
}

/** What Python calls white space: the information separators are some, the byte order mark is not. */
// eslint-disable-next-line no-control-regex
const whiteSpace = /[\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/gu;

function collapsed(text: string): string {
  return text.replaceAll(whiteSpace, ' ').replace(/^ | $/gu, '');
}
