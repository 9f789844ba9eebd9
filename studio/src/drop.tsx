/** A picture dropped anywhere on the page brings its settings back. */
import { signal } from '@preact/signals';

import { NotOurs, readMetadata } from './png/metadata';
import { say } from './state/messages';
import { takeMetadata } from './state/takeOver';

const isOver = signal(false);

/** Larger files are no pictures of this package: they are not read. */
const mostBytes = 2 ** 28;

export async function takeFile(file: File): Promise<void> {
  try {
    if (file.size > mostBytes) throw new NotOurs(`${file.name} is too large: files of up to 256 MB are read.`);
    const metadata = readMetadata(new Uint8Array(await file.arrayBuffer()), file.name);
    for (const remark of takeMetadata(metadata)) say(`${file.name}: ${remark}`);
    location.hash = 'make';
  } catch (error) {
    // What cannot be read is a folder, or is gone.
    say(error instanceof NotOurs ? error.message : `${file.name} cannot be read.`);
  }
}

const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;

/** Once, when the page starts. */
export function listenForDrops(): void {
  addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    isOver.value = true;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) isOver.value = false;
  });
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    isOver.value = false;
    for (const file of Array.from(event.dataTransfer!.files).slice(0, 1)) void takeFile(file);
  });
}

export function DropTarget() {
  return isOver.value ? <div class="drop-target">Drop a PNG made here: its settings come back.</div> : null;
}
