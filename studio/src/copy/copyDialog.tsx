/** The settings as a program, to be copied. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import type { ImageRequest } from '../api/types';
import { apiBase, token } from '../host';
import { bundles } from '../state/bundles';

import { asCli, asCurl, asTypeScript } from './code';

const request = signal<ImageRequest | null>(null);
const form = signal<'TypeScript' | 'Command line' | 'curl'>('TypeScript');
const isCopied = signal(false);
const forms = ['TypeScript', 'Command line', 'curl'] as const;

export function copyAs(what: ImageRequest): void {
  isCopied.value = false;
  request.value = what;
}

function textOf(what: ImageRequest): { text: string; missing: string[] } {
  if (form.value === 'TypeScript') return { text: asTypeScript(what), missing: [] };
  if (form.value === 'curl') return { text: asCurl(what, apiBase, token() !== null), missing: [] };
  return asCli(what, bundles.value.find(({ id }) => id === what.bundle) ?? null);
}

export function CopyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const what = request.value;
  useEffect(() => {
    if (what) dialog.current!.showModal();
  }, [what]);
  const { text, missing } = what ? textOf(what) : { text: '', missing: [] };
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
      {missing.length > 0 && (
        <p class="problem">The command line has no option for {missing.join(' and ')}; TypeScript and curl have.</p>
      )}
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
