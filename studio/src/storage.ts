/** What the browser keeps for a tab or for the next one. It may refuse (private windows, settings), or be full: then nothing is remembered. */
export type Place = 'tab' | 'browser';

const prefix = 'detail-guidance.';

// Even to name it may be refused.
const storageOf = (place: Place): Storage => (place === 'tab' ? sessionStorage : localStorage);

export function recall(place: Place, name: string): string | null {
  try {
    return storageOf(place).getItem(prefix + name);
  } catch {
    return null;
  }
}

/** As JSON; null for what is none. */
export function recallJson(place: Place, name: string): unknown {
  try {
    return JSON.parse(recall(place, name) ?? 'null');
  } catch {
    return null;
  }
}

/** @returns false where it is refused, or there is no room for it */
export function remember(place: Place, name: string, text: string): boolean {
  try {
    storageOf(place).setItem(prefix + name, text);
    return true;
  } catch {
    return false;
  }
}

/** Tells when another tab changes what the browser keeps under a name. */
export function followOtherTabs(name: string, changed: () => void): void {
  addEventListener('storage', ({ key }) => {
    if (key === prefix + name) changed();
  });
}

export function forget(name: string): void {
  for (const place of ['tab', 'browser'] as const) {
    try {
      storageOf(place).removeItem(prefix + name);
    } catch {
      // Nothing was kept.
    }
  }
}
