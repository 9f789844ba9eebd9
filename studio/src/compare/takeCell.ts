/** The settings of a picture that was clicked go to the first page. */
import { bundle } from '../state/bundles';
import { say } from '../state/messages';
import { settings, change } from '../state/settings';
import { takeRequest } from '../state/takeOver';

import type { SheetCell } from './contactSheet';

export function takeCell({ request }: SheetCell): void {
  if (!bundle.value) return;
  const { image, repaint } = settings.value;
  for (const remark of takeRequest({ ...request }, bundle.value)) say(remark);
  change({ image, repaint });
  location.hash = 'make';
}
