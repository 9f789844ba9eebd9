/** Words as they may stand in an SVG. */
import { escapeUTF8 } from 'entities';

/** Control characters are not allowed in XML 1.0 at all, escaped or not. */
export const svgText = (words: string) => escapeUTF8(words.replace(/\p{Cc}/gu, ''));
