/** The settings of a picture that was clicked go to the first page. */
import { bundles } from '../state/bundles';
import { say } from '../state/messages';
import { settings, change } from '../state/settings';
import { takeRequest } from '../state/takeOver';

import type { SheetCell } from './contactSheet';

export function takeCell({ request }: SheetCell): void {
  const of = bundles.value.find(({ id }) => id === request.bundle);
  if (!of) return say(`This picture was made with the bundle ${request.bundle}, which this server does not offer.`);
  const { image, repaint } = settings.value;
  for (const remark of takeRequest({ ...request }, of)) say(remark);
  change({ image, repaint });
  location.hash = 'make';
}
