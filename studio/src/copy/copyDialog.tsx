/** The settings as a program, to be copied. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { ImageRequest } from '../api/types';
import { apiBase, saveFile, token } from '../host';
import { bundles, forcedLoad } from '../state/bundles';

import { asCli, asCurl, asTypeScript, filesOf } from './code';
import { originOf, withoutFlag, type Origin } from './loading';

const origin = signal<Origin>({ loading: {}, elsewhere: null });
const request = signal<ImageRequest | null>(null);
const form = signal<'TypeScript' | 'Command line' | 'curl'>('TypeScript');
const outcome = signal<'copied' | 'selected' | null>(null);
const forms = (['TypeScript', 'Command line', 'curl'] as const)
  // A desktop application's own server is at no address that another program could reach.
  .filter((name) => name !== 'curl' || /^https?:/.test(apiBase));

/** @param png a picture that it made, or that the same bundle made: it says how that was loaded */
export function copyAs(what: ImageRequest, png: Uint8Array | null): void {
  outcome.value = null;
  request.value = what;
  origin.value = originOf(png, bundleOf(what), forcedLoad.value);
}

// Back and forward lead to other pages.
addEventListener('hashchange', () => (request.value = null));

const bundleOf = (what: ImageRequest) => bundles.value.find(({ id }) => id === what.bundle) ?? null;

function textOf(what: ImageRequest): string {
  const { loading } = origin.value;
  if (form.value === 'TypeScript') return asTypeScript(what, bundleOf(what), loading);
  if (form.value === 'curl') return asCurl(what, bundleOf(what), apiBase, token() !== null);
  return asCli(what, bundleOf(what), loading);
}

/** What the text cannot say, so that it would make another picture. */
function Unsaid() {
  const { loading, elsewhere } = origin.value;
  const names = withoutFlag(loading);
  if (form.value === 'curl' && elsewhere !== null)
    return <p class="note">The picture was made {elsewhere}. This server computes otherwise.</p>;
  if (form.value !== 'Command line' || names.length === 0) return null;
  return <p class="note">The command line has no flag for {names.join(' and ')}: the TypeScript says it.</p>;
}

/** Pictures that the program reads, to be saved beside it. */
function Files({ of, inline }: { of: ImageRequest; inline: boolean }) {
  const names = filesOf(of).filter((name) => !inline || of[name] === undefined);
  if (names.length === 0) return null;
  return (
    <p class="note">
      It reads {names.map((name) => `${name}.png`).join(' and ')}:{' '}
      {names.map((name) => {
        const data = of[name];
        if (data === undefined) return 'the picture that it was started from, which is not kept here. ';
        return (
          <button key={name} type="button" class="text-button" onClick={() => void savePicture(`${name}.png`, data)}>
            save {name}.png
          </button>
        );
      })}
    </p>
  );
}

async function savePicture(name: string, data: string): Promise<void> {
  const [head, base64] = data.split(',') as [string, string];
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  await saveFile(name, new Blob([bytes], { type: head.slice('data:'.length, head.indexOf(';')) }));
}

export function CopyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const what = request.value;
  useEffect(() => {
    const { open } = dialog.current!;
    if (what && !open) dialog.current!.showModal();
    if (!what && open) dialog.current!.close();
  }, [what]);
  const text = what ? textOf(what) : '';
  return (
    <dialog ref={dialog} class="copy" aria-label="Copy as a program" onClose={() => (request.value = null)}>
      <div class="row">
        <div class="segments" role="group" aria-label="Form">
          {forms.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={form.value === name}
              onClick={() => {
                form.value = name;
                outcome.value = null;
              }}
            >
              {name}
            </button>
          ))}
        </div>
        <span class="spacer" />
        <button type="button" class="text-button" onClick={() => dialog.current!.close()}>
          Close
        </button>
      </div>
      <pre tabIndex={0}>{text}</pre>
      {what?.bundle !== undefined && what.bundle !== 'embedded' && form.value !== 'curl' && (
        <p class="note">{what.bundle} stands for the folder of that bundle.</p>
      )}
      {what && <Unsaid />}
      {what && <Files of={what} inline={form.value === 'curl'} />}
      <button
        type="button"
        class="primary"
        onClick={(event) => {
          // Without a secure context there is no clipboard, and with one it may be refused.
          const pre = event.currentTarget.parentElement!.querySelector('pre')!;
          getSelection()!.selectAllChildren(pre);
          void Promise.resolve(navigator.clipboard?.writeText(text).then(() => 'copied' as const))
            .catch(() => undefined)
            .then((done) => (outcome.value = done ?? 'selected'));
        }}
      >
        {outcome.value === 'copied' ? 'Copied' : 'Copy'}
      </button>
      <p class="note" role="status">
        {outcome.value === 'selected'
          ? 'The browser does not let this page copy: the text is selected, copy it by hand.'
          : ''}
      </p>
    </dialog>
  );
}
