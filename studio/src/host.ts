/**
 * What the page needs of its surroundings. In a browser all of it is here; a desktop application gives its own parts as
 * `window.detailGuidanceHost` before the page's script runs (Electron: contextBridge in the preload script).
 */
import type { GalleryBridge } from '../../lib/electron/galleryTypes';

import { recall, remember } from './storage';

export interface StudioHost {
  /** Where the server is: an origin, perhaps with a path. Default: where the page came from. */
  apiBase?: string;
  /** Bearer token of the server. Default: `#token=…` of the page's address. */
  token?: string;
  /** A folder where pictures are kept. Default: the browser's IndexedDB. */
  gallery?: GalleryBridge;
  /** Offers bytes to the user as a file; false when it was called off. Default: a download. */
  saveFile?: (name: string, bytes: Uint8Array, type: string) => Promise<boolean>;
  /** How much of the work is done, 0 to 1, for the task bar; null: none is going on. */
  setProgress?: (fraction: number | null) => void;
}

declare global {
  interface Window {
    detailGuidanceHost?: StudioHost;
  }
}

const host: StudioHost = window.detailGuidanceHost ?? {};

export const galleryFolder: GalleryBridge | null = host.gallery ?? null;
export const apiBase = (host.apiBase ?? new URL('.', location.href).href).replace(/\/$/, '');
export const setProgress = host.setProgress ?? (() => undefined);

/** Kept for the tab, and taken out of the address so that it is not copied along. */
function tokenOfAddress(): string | null {
  const fromAddress = new URLSearchParams(location.hash.slice(1)).get('token');
  if (fromAddress === null) return recall('tab', 'token');
  remember('tab', 'token', fromAddress);
  history.replaceState(null, '', location.pathname + location.search);
  return fromAddress;
}

let currentToken = host.token ?? tokenOfAddress();

export const token = (): string | null => currentToken;

export function setToken(value: string): void {
  currentToken = value;
  remember('tab', 'token', value);
}

export async function saveFile(name: string, bytes: Blob): Promise<void> {
  if (host.saveFile) {
    await host.saveFile(name, new Uint8Array(await bytes.arrayBuffer()), bytes.type);
    return;
  }
  const url = URL.createObjectURL(bytes);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
