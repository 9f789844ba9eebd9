/** Pictures that were made, each with the settings it was made by. */
import { signal, useComputed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { FileButton } from '../controls/file';
import { copyAs } from '../copy/copyDialog';
import { takeFile } from '../drop';
import { saveFile } from '../host';
import { bundles } from '../state/bundles';
import { say } from '../state/messages';
import { cut } from '../state/sound';
import { takeToMake } from '../state/takeOver';

import { gallery, loadPictures, pictures, remove } from './pictures';
import type { KeptPicture } from './store';
import { Thumbnail } from './thumbnail';
import { useListWindow } from './window';

const opened = signal<string | null>(null);

async function copy(picture: KeptPicture): Promise<void> {
  const png = await gallery.png(picture.id).catch(() => null);
  copyAs(picture.request, png && new Uint8Array(await png.arrayBuffer()));
}

async function download(picture: KeptPicture): Promise<void> {
  const png = await gallery.png(picture.id).catch(() => null);
  if (!png) return say('The picture cannot be read from the gallery.');
  const words = picture.title.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-');
  await saveFile(`${cut(words, 60)}-${picture.seed}.png`, png);
}

function Details({ picture }: { picture: KeptPicture }) {
  const { width, height, request, seed, cost, seconds, bundle, created } = picture;
  const of = bundles.value.find(({ id }) => id === bundle);
  const frames = request.numFrames ?? (of?.frameRate === null ? null : of?.size.frames) ?? null;
  const facts = [
    ['Bundle', bundle],
    ['Size', `${width} × ${height}`],
    ['Frames', frames === null ? null : String(frames)],
    ['Seed', String(seed)],
    ['Cost', cost === null ? null : `${cost.toFixed(2)}× plain CFG`],
    ['Time', seconds === null ? null : `${seconds.toFixed(1)} s`],
    ['Made', new Date(created).toLocaleString()],
  ] as const;
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current!.scrollIntoView({ block: 'nearest' });
    // It stands before the list, of which the keyboard would have to go back through all.
    place.current!.focus({ preventScroll: true });
  }, [picture.id]);
  return (
    <aside
      ref={place}
      class="block details"
      aria-label="The chosen picture"
      tabIndex={-1}
      onKeyDown={({ key }) => key === 'Escape' && closeTo(picture)}
    >
      <div class="details-picture">
        <Thumbnail key={picture.id} picture={picture} />
      </div>
      <div class="details-text">
        <h2 dir="auto">{picture.title}</h2>
        <dl>
          {facts.map(([name, value]) =>
            value === null ? null : (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
          )}
        </dl>
        <div class="row">
          <button type="button" class="secondary" onClick={() => takeToMake(picture.bundle, picture.request)}>
            Take its settings
          </button>
          <button type="button" class="secondary" onClick={() => void download(picture)}>
            Save the PNG
          </button>
          <button type="button" class="secondary" onClick={() => void copy(picture)}>
            Copy as…
          </button>
          <button type="button" class="text-button" onClick={() => discard(picture)}>
            Delete
          </button>
        </div>
      </div>
    </aside>
  );
}

/** The keyboard goes on at a picture of the list. */
function closeTo(picture: KeptPicture | undefined): void {
  opened.value = null;
  if (picture) document.getElementById(cardOf(picture))?.querySelector('button')?.focus();
}

const cardOf = ({ id }: KeptPicture) => `picture-${id}`;

/** Deletes it; the keyboard goes on at its neighbour. */
function discard(picture: KeptPicture): void {
  const all = pictures.value ?? [];
  const at = all.findIndex(({ id }) => id === picture.id);
  closeTo(all[at + 1] ?? all[at - 1]);
  void remove(picture.id);
}

/** Drawn anew when it is opened or closed, and not when others come into sight. */
function Card({ picture, at, of }: { picture: KeptPicture; at: number; of: number }) {
  const isOpen = useComputed(() => opened.value === picture.id).value;
  return (
    <li id={cardOf(picture)} aria-setsize={of} aria-posinset={at + 1}>
      <button type="button" aria-pressed={isOpen} onClick={() => (opened.value = isOpen ? null : picture.id)}>
        <Thumbnail picture={picture} square />
        <span dir="auto">{picture.title}</span>
      </button>
    </li>
  );
}

function List({ all }: { all: readonly KeptPicture[] }) {
  const list = useRef<HTMLUListElement>(null);
  const { columns, rowHeight, first, end } = useListWindow(list, all.length).value;
  const rows = Math.ceil(all.length / columns);
  const from = Math.min(first, rows);
  const to = Math.min(end, rows);
  const style = {
    '--columns': columns,
    '--row': `${rowHeight}px`,
    paddingTop: `${from * rowHeight}px`,
    paddingBottom: `${(rows - to) * rowHeight}px`,
  };
  return (
    <ul ref={list} class="gallery" style={style}>
      {all.slice(from * columns, to * columns).map((picture, index) => (
        <Card key={picture.id} picture={picture} at={from * columns + index} of={all.length} />
      ))}
    </ul>
  );
}

export function GalleryPage() {
  useEffect(() => void loadPictures(), []);
  const all = pictures.value;
  const current = all?.find(({ id }) => id === opened.value) ?? null;
  return (
    <div class="stage gallery-stage">
      <div class="stage-head">
        <p class="note">
          {all === null ? 'Reading…' : `${all.length} ${all.length === 1 ? 'picture' : 'pictures'} in this gallery.`} A
          PNG made by the package brings its settings back: drop it anywhere on the page, or choose it here.
        </p>
        <FileButton text="Open a PNG" accept="image/png" onFile={(file) => void takeFile(file)} />
      </div>
      {current && <Details picture={current} />}
      {all?.length === 0 && (
        <p class="place-holder">
          Nothing here yet. Every picture that is made on the first page is kept here, with the settings it was made by.
        </p>
      )}
      {all !== null && <List all={all} />}
    </div>
  );
}
