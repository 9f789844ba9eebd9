/** What a client's Accept header asks for. */
import { expect, test } from '@jest/globals';

import { preferredType } from '../../../lib/server/mediaType';

const offered = ['application/json', 'image/png', 'image/apng'] as const;

test.each([
  [undefined, 'application/json'],
  ['', 'application/json'],
  ['*/*', 'application/json'],
  ['image/png', 'image/png'],
  ['IMAGE/PNG; q=0.5', 'image/png'],
  ['image/*', 'image/png'],
  ['image/apng', 'image/apng'],
  ['application/json, image/png;q=0.5', 'application/json'],
  ['image/png, application/json;q=0.9', 'image/png'],
  ['image/png, application/json', 'image/png'],
  ['image/avif,image/webp,image/*,*/*;q=0.8', 'image/png'],
  ['*/*, application/json;q=0', 'image/png'],
  ['image/png;q=0, */*;q=0.1', 'application/json'],
  ['image/png;q=0', null],
  ['image/webp', null],
  ['text/html, application/xhtml+xml', null],
  [';;;', null],
])('%j: %j', (accept, expected) => {
  expect(preferredType(accept, offered)).toBe(expected);
});
