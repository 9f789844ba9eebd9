/** What the families do to a prompt before it is tokenized. */
import type { TokenizerManifest } from '../bundle';

export function cleanPrompt(text: string, cleaning: TokenizerManifest['cleaning']): string {
  switch (cleaning) {
    case 'none':
      return text;
    case 'lower':
      return text.toLowerCase().trim();
    case 'html':
      return undoEntities(undoEntities(text)).replaceAll(/\s+/gu, ' ').trim();
  }
}

/** The entities that HTML and XML share, `&nbsp;`, and character numbers: what prompts copied from pages contain. */
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function undoEntities(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w{2,6}));/gu, (entity, decimal, hex, name) => {
    if (name !== undefined) return named[name as string] ?? entity;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : entity;
  });
}
