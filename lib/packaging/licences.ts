/** The licences of what is shipped: those of PyTorch and of NVIDIA's libraries ask to go along. */
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { Libtorch } from '../files/libtorch';

const ofPackages = /^(torch|nvidia_.*)-.*\.dist-info$/;
const isLicence = /^(licen[cs]es?|notice|eula)/i;

/** Copies them from the Python packages that the libraries came in; an unpacked archive has its own beside `lib`. */
export async function copyLicences(libtorch: Libtorch, to: string): Promise<void> {
  const packages = resolve(libtorch.path, '..');
  const names = (await readdir(packages)).filter((name) => ofPackages.test(name));
  const folders = [{ from: libtorch.path, name: 'libtorch' }];
  for (const name of libtorch.path.endsWith('torch') ? names : []) folders.push({ from: join(packages, name), name });
  for (const { from, name } of folders) await copyFrom(from, join(to, name));
}

async function copyFrom(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!isLicence.test(entry.name)) continue;
    const path = join(from, entry.name);
    if (entry.isDirectory()) {
      await mkdir(to, { recursive: true });
      for (const file of await readdir(path, { withFileTypes: true })) {
        if (file.isFile()) await copyFile(join(path, file.name), join(to, file.name));
      }
    } else if (entry.isFile()) {
      await mkdir(to, { recursive: true });
      await copyFile(path, join(to, entry.name));
    }
  }
}
