/** Prompts cleaned as diffusers' Wan pipeline does, without ftfy's repairs: html.unescape twice, then white space. */
import { expect, test } from '@jest/globals';

import { cleanPrompt } from '../../../lib/text/cleaning';

test.each([
  ['caf&eacute; &amp; bar', 'café & bar'],
  ['Tom &amp;amp; Jerry', 'Tom & Jerry'],
  ['a &hellip; b &mdash; c', 'a … b — c'],
  ['it&#39;s &#8220;quoted&#8221;', "it's “quoted”"],
  ['AT&T and R&D', 'AT&T and R&D'],
  ['&copy; 2024 &euro;5 &hearts;', '© 2024 €5 ♥'],
  ['no&nbsp;break', 'no break'],
  ['&#150; windows dash', '– windows dash'],
  ['&amp without semicolon', '& without semicolon'],
  ['&ltb&gt', '<b>'],
  ['a\u00a0b\u3000c\u2003d', 'a b c d'],
  ['  lead\n\ntrail\t ', 'lead trail'],
  ['a\u001cb\u0085c', 'a b c'],
  ['&#x1F431; cat', '🐱 cat'],
  ['&notit;', '¬it;'],
  ['x\ufeffy\ufeff', 'x\ufeffy\ufeff'],
])('%j becomes %j', (prompt, cleaned) => {
  expect(cleanPrompt(prompt, 'html')).toBe(cleaned);
});
