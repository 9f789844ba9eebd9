/** How much script the page loads. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { packageRoot } from '../../lib/files/packageRoot';
import type { Figure } from '../figure';

export const pageFolder = () => join(packageRoot(), 'dist', 'studio');

/** Gzipped bytes of what is loaded with the page, and of the plotting library, which the first plot brings. */
export async function scriptBytes(): Promise<Figure[]> {
  const assets = join(pageFolder(), 'assets');
  const index = readFileSync(join(pageFolder(), 'index.html'), 'utf8');
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));
  const bytesOf = (names: string[]) =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
  const first = bytesOf(scripts.filter((name) => index.includes(name)));
  const later = bytesOf(scripts.filter((name) => !index.includes(name)));
  return [
    { name: 'script-bytes', value: first, unit: 'bytes', goal: '<= 300000', met: first <= 300_000, samples: 1 },
    { name: 'plotting-bytes', value: later, unit: 'bytes', goal: '', met: true, samples: 1 },
  ];
}
