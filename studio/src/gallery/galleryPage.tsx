/** Pictures that were made, each with the settings it was made by. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { copyAs } from '../copy/copyDialog';
import { takeFile } from '../drop';
import { saveFile } from '../host';
import { bundles } from '../state/bundles';
import { say } from '../state/messages';
import { takeSettings, type Remembered } from '../state/takeOver';

import { gallery, loadPictures, pictures, remove } from './pictures';
import { whenInSight } from './sight';
import type { KeptPicture } from './store';
import { Thumbnail } from './thumbnail';

const opened = signal<string | null>(null);
/** Pictures that the list is made longer by: thousands at once would take seconds. */
const atOnce = 20;
const shown = signal(atOnce);

function take(picture: KeptPicture): void {
  const of = bundles.value.find(({ id }) => id === picture.bundle);
  if (!of) {
    say(`This picture was made with the bundle ${picture.bundle}, which this server does not offer.`);
    return;
  }
  for (const remark of takeSettings(picture.request as Remembered, of)) say(remark);
  location.hash = 'make';
}

async function download(picture: KeptPicture): Promise<void> {
  const png = await gallery.png(picture.id);
  if (!png) return;
  const name = `${picture.title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .slice(0, 60)}-${picture.seed}.png`;
  await saveFile(name, png);
}

function Details({ picture }: { picture: KeptPicture }) {
  const { width, height, seed, cost, seconds, bundle, created } = picture;
  const facts = [
    ['Bundle', bundle],
    ['Size', `${width} × ${height}`],
    ['Seed', String(seed)],
    ['Cost', cost === null ? null : `${cost.toFixed(2)}× plain CFG`],
    ['Time', seconds === null ? null : `${seconds.toFixed(1)} s`],
    ['Made', new Date(created).toLocaleString()],
  ] as const;
  return (
    <aside class="block details" aria-label="The chosen picture">
      <div class="details-picture">
        <Thumbnail key={picture.id} picture={picture} />
      </div>
      <div class="details-text">
        <h2>{picture.title}</h2>
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
          <button type="button" class="secondary" onClick={() => take(picture)}>
            Take its settings
          </button>
          <button type="button" class="secondary" onClick={() => void download(picture)}>
            Save the PNG
          </button>
          <button type="button" class="secondary" onClick={() => copyAs(picture.request)}>
            Copy as…
          </button>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              opened.value = null;
              void remove(picture.id);
            }}
          >
            Delete
          </button>
        </div>
      </div>
    </aside>
  );
}

/** At the end of the list: when it comes into sight there is more of it. */
function More() {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => whenInSight(end.current!, () => (shown.value += atOnce)), []);
  return <div ref={end} class="more" />;
}

export function GalleryPage() {
  useEffect(() => {
    shown.value = atOnce;
    void loadPictures();
  }, []);
  const all = pictures.value;
  const current = all?.find(({ id }) => id === opened.value) ?? null;
  return (
    <div class="stage">
      <div class="stage-head">
        <p class="note">
          {all === null ? 'Reading…' : `${all.length} ${all.length === 1 ? 'picture' : 'pictures'} in this gallery.`} A
          PNG made by the package brings its settings back: drop it anywhere on the page, or choose it here.
        </p>
        <label class="file">
          <span>Open a PNG</span>
          <input
            type="file"
            accept="image/png"
            onChange={({ currentTarget }) => {
              const file = currentTarget.files?.[0];
              if (file) void takeFile(file);
              currentTarget.value = '';
            }}
          />
        </label>
      </div>
      {current && <Details picture={current} />}
      {all?.length === 0 && (
        <p class="place-holder">
          Nothing here yet. Every picture that is made on the first page is kept here, with the settings it was made by.
        </p>
      )}
      <ul class="gallery">
        {all?.slice(0, shown.value).map((picture) => (
          <li key={picture.id}>
            <button
              type="button"
              aria-pressed={picture.id === opened.value}
              onClick={() => (opened.value = picture.id === opened.value ? null : picture.id)}
            >
              <Thumbnail picture={picture} />
              <span>{picture.title}</span>
            </button>
          </li>
        ))}
      </ul>
      {all !== null && all.length > shown.value && <More key={shown.value} />}
    </div>
  );
}
