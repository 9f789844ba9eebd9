/** The page's frame: its parts, and what the server is doing. */
import { signal } from '@preact/signals';
import type { FunctionComponent } from 'preact';

import { ComparePage } from './compare/comparePage';
import { CopyDialog } from './copy/copyDialog';
import { DropTarget } from './drop';
import { GalleryPage } from './gallery/galleryPage';
import { InsidePage } from './inside/insidePage';
import { setToken } from './host';
import { MakePage } from './make/makePage';
import { bundle, bundles, connect, missingBundle, otherVersion, serverState } from './state/bundles';
import { dismiss, messages } from './state/messages';
import { change } from './state/settings';
import { ThemeButton } from './theme';

const pages: { name: string; title: string; page: FunctionComponent }[] = [
  { name: 'make', title: 'Make', page: MakePage },
  { name: 'compare', title: 'Compare', page: ComparePage },
  { name: 'inside', title: 'Look inside', page: InsidePage },
  { name: 'gallery', title: 'Gallery', page: GalleryPage },
];

const nameOfAddress = () => location.hash.slice(1);
const current = signal(nameOfAddress());
addEventListener('hashchange', () => (current.value = nameOfAddress()));

function Notices() {
  const missing = missingBundle.value;
  return (
    <div class="notices" aria-live="polite">
      {serverState.value === 'silent' && (
        <p class="notice">The server does not answer. The page waits for it; your settings and pictures are kept.</p>
      )}
      {serverState.value === 'here' && otherVersion.value !== null && (
        <p class="notice">
          This page is of version {__VERSION__}, the server is now {otherVersion.value}.{' '}
          <button type="button" class="text-button" onClick={() => location.reload()}>
            Load the page again
          </button>
        </p>
      )}
      {missing && (
        <p class="notice">
          {missing.code === null
            ? `The server does not offer the bundle ${missing.name} any more.`
            : `The bundle ${missing.name} cannot be read (${missing.code}).`}{' '}
          {bundles.value.map(({ id }) => (
            <button key={id} type="button" class="text-button" onClick={() => change({ bundle: id })}>
              Use {id}
            </button>
          ))}
        </p>
      )}
      {messages.value.map(({ id, text }) => (
        <p key={id} class="notice message">
          {text}{' '}
          <button type="button" class="text-button" onClick={() => dismiss(id)}>
            Close
          </button>
        </p>
      ))}
    </div>
  );
}

function Unlock() {
  return (
    <form
      class="unlock"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(new FormData(event.currentTarget).get('token') as string);
        void connect();
      }}
    >
      <h2>This server asks for its token</h2>
      <p>It was given by --token, or by DETAIL_GUIDANCE_TOKEN, when the server was started.</p>
      <label>
        Token <input name="token" type="password" autocomplete="off" required minLength={8} />
      </label>
      <button class="primary">Enter</button>
    </form>
  );
}

export function App() {
  const { name, page: Page } = pages.find((entry) => entry.name === current.value) ?? pages[0]!;
  const facts = bundle.value;
  return (
    <>
      <header class="top">
        <h1>
          Detail Guidance <span>studio</span>
        </h1>
        <nav aria-label="Pages">
          {pages.map((entry) => (
            <a key={entry.name} href={`#${entry.name}`} aria-current={entry.name === name ? 'page' : undefined}>
              {entry.title}
            </a>
          ))}
        </nav>
        <p class="facts">
          {facts && `${facts.name} · ${facts.layers ?? '…'} blocks · ${facts.hiddenChannels} channels`}
        </p>
        <ThemeButton />
      </header>
      <Notices />
      <DropTarget />
      <CopyDialog />
      <main>{serverState.value === 'locked' ? <Unlock /> : <Page />}</main>
    </>
  );
}
