/** A file that is dragged from elsewhere and dropped on the page. */
import type { Page } from 'playwright-core';

import { encodePng } from '../../lib/image/png';

export async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  await page.evaluate(`{
    const bytes = Uint8Array.from(atob(${JSON.stringify(Buffer.from(bytes).toString('base64'))}), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], ${JSON.stringify(name)}, { type: 'image/png' }));
    for (const type of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }`);
}

/** A PNG whose text says this about how it was made. */
export const pngSaying = (text: string): Uint8Array =>
  encodePng({ width: 2, height: 2, channels: 1, pixels: new Uint8Array(4), text: { 'detail-guidance': text } });
