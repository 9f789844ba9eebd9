/** The settings as a program, to be copied. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { ImageRequest } from '../api/types';
import { apiBase, saveFile, token } from '../host';
import { readMetadata } from '../png/metadata';
import { bundles } from '../state/bundles';

import { asCli, asCurl, asTypeScript, filesOf, type Precision } from './code';

const dtype = signal<Precision>(null);
const request = signal<ImageRequest | null>(null);
const form = signal<'TypeScript' | 'Command line' | 'curl'>('TypeScript');
const isCopied = signal(false);
const forms = ['TypeScript', 'Command line', 'curl'] as const;

/** @param png a picture of the same server and bundle, which says what is computed in */
export function copyAs(what: ImageRequest, png: Uint8Array | null): void {
  isCopied.value = false;
  request.value = what;
  dtype.value = png && dtypeOf(png);
}

function dtypeOf(png: Uint8Array): Precision {
  try {
    const { dtype: made } = readMetadata(png, 'The picture');
    return made === 'float32' ? null : made;
  } catch {
    return null;
  }
}

function textOf(what: ImageRequest): string {
  if (form.value === 'TypeScript') return asTypeScript(what, dtype.value);
  if (form.value === 'curl') return asCurl(what, apiBase, token() !== null);
  return asCli(what, bundles.value.find(({ id }) => id === what.bundle) ?? null, dtype.value);
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
    if (what) dialog.current!.showModal();
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
                isCopied.value = false;
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
      {what && <Files of={what} inline={form.value === 'curl'} />}
      <button
        type="button"
        class="primary"
        onClick={(event) => {
          // Without a secure context there is no clipboard: the text is selected, to be copied by hand.
          const pre = event.currentTarget.parentElement!.querySelector('pre')!;
          getSelection()!.selectAllChildren(pre);
          void navigator.clipboard?.writeText(text).then(() => (isCopied.value = true));
        }}
      >
        {isCopied.value ? 'Copied' : 'Copy'}
      </button>
    </dialog>
  );
}
