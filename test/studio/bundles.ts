/** Bundles that the studio's tests need besides the embedded one: the same model, described otherwise. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { BundleManifest } from '../../lib/bundle';
import { packageRoot } from '../../lib/files/packageRoot';

export const bundleFolder = (): string => mkdtempSync(join(tmpdir(), 'studio-bundles-'));

/** The embedded model in `folder`, with another description. @returns its folder, whose name is the bundle's id */
export function embeddedAs(folder: string, id: string, describe: (manifest: BundleManifest) => object): string {
  const to = join(folder, id);
  cpSync(join(packageRoot(), 'models', 'embedded'), to, { recursive: true });
  const file = join(to, 'bundle.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as BundleManifest;
  writeFileSync(file, JSON.stringify({ ...manifest, ...describe(manifest) }));
  return to;
}
