/** The formula over the plan: of the techniques that it has, and none for the others. */
import { expect, test } from '@jest/globals';

import { presetNames } from '../../lib/guidance/presets';
import { termsOf } from '../../studio/src/make/terms';

test('views of classifier-free and Detail Guidance have a formula, and no others', () => {
  expect(Object.fromEntries(presetNames.map((view) => [view, termsOf(view)]).filter(([, terms]) => terms))).toEqual({
    conditional: [],
    cfg: ['classifierFree'],
    disrupted: ['disrupt'],
    detail: ['detail'],
    'detail+cfg': ['classifierFree', 'detail'],
    'detail+cfg-fast': ['classifierFree', 'detail'],
  });
});
