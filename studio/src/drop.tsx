/** A picture dropped or pasted anywhere on the page brings its settings back. */
import { signal } from '@preact/signals';

import { NotOurs, readMetadata } from './png/metadata';
import { offered } from './state/bundles';
import { say } from './state/messages';
import { takeMetadata } from './state/takeOver';

const isOver = signal(false);

/** Larger files are no pictures of this package: they are not read. */
const mostBytes = 2 ** 28;

export async function takeFile(file: File): Promise<void> {
  try {
    if (file.size > mostBytes) throw new NotOurs(`${file.name} is too large: files of up to 256 MB are read.`);
    const metadata = readMetadata(new Uint8Array(await file.arrayBuffer()), file.name);
    if (offered.value.length === 0) throw new NotOurs(`${file.name} is not taken: the server has not answered yet.`);
    for (const remark of await takeMetadata(metadata)) say(`${file.name}: ${remark}`);
    location.hash = 'make';
  } catch (error) {
    // What cannot be read is a folder, or is gone.
    say(error instanceof NotOurs ? error.message : `${file.name} cannot be read.`);
  }
}

function takeFiles(files: readonly File[]): void {
  const [first, ...others] = files;
  if (!first) return say('What was dropped is no file. Drop a PNG that was made by the package.');
  if (others.length > 0) say(`Of ${files.length} files ${first.name} is taken: settings are those of one picture.`);
  void takeFile(first);
}

const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
/** Text goes where text is written. */
const isForText = ({ target }: Event) => target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;

/** Once, when the page starts. */
export function listenForDrops(): void {
  addEventListener('dragover', (event) => {
    // A link that is dropped would be opened in place of the page.
    if (!hasFiles(event) && isForText(event)) return;
    event.preventDefault();
    isOver.value = hasFiles(event);
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) isOver.value = false;
  });
  addEventListener('drop', (event) => {
    if (!hasFiles(event) && isForText(event)) return;
    event.preventDefault();
    isOver.value = false;
    takeFiles(Array.from(event.dataTransfer?.files ?? []));
  });
  addEventListener('paste', (event) => {
    const files = Array.from(event.clipboardData?.files ?? []);
    // Office programs put a picture of the words beside the words.
    const isText = isForText(event) && event.clipboardData?.types.includes('text/plain');
    if (files.length > 0 && !isText) takeFiles(files);
  });
}

export function DropTarget() {
  return isOver.value ? <div class="drop-target">Drop a PNG made here: its settings come back.</div> : null;
}
