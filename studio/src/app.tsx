/** The page's frame: its parts, and what the server is doing. */
import { signal } from '@preact/signals';
import type { FunctionComponent } from 'preact';
import { useErrorBoundary } from 'preact/hooks';

import { ComparePage } from './compare/comparePage';
import { CopyDialog } from './copy/copyDialog';
import { DropTarget } from './drop';
import { GalleryPage } from './gallery/galleryPage';
import { InsidePage } from './inside/insidePage';
import { setToken } from './host';
import { MakePage } from './make/makePage';
import {
  allBroken,
  bundle,
  bundles,
  connect,
  isReady,
  missingBundle,
  otherVersion,
  serverState,
  takeBundle,
} from './state/bundles';
import { dismiss, messages } from './state/messages';
import { forget } from './storage';
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
      {bundle.value && !isReady.value && (
        <p class="notice">
          The bundle {bundle.value.id} has no text encoders: it takes tensors ({bundle.value.tensors.join(', ')}), which
          this page cannot give. A program can, by the option conditioning.
        </p>
      )}
      {!missing && allBroken.value.length > 0 && (
        <p class="notice">
          No bundle of this server can be read:{' '}
          {allBroken.value.map(({ id, error }) => `${id} (${error.code})`).join(', ')}. The server’s log says more.
        </p>
      )}
      {missing && (
        <p class="notice">
          {missing.code === null
            ? `The server does not offer the bundle ${missing.name} any more.`
            : `The bundle ${missing.name} cannot be read (${missing.code}).`}{' '}
          {bundles.value.map(({ id }) => (
            <button key={id} type="button" class="text-button" onClick={() => takeBundle(id)}>
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

/** What the browser may have kept of a page that cannot be drawn; pictures are not among it. */
const keptNames = ['settings', 'views', 'presets', 'runs', 'previews'];

/** A page whose drawing fails says so; the others stay. */
function Guarded({ page: Page }: { page: FunctionComponent }) {
  const [failure] = useErrorBoundary() as [unknown, () => void];
  if (failure === undefined) return <Page />;
  return (
    <div class="unlock" role="alert">
      <h2>This page cannot be drawn</h2>
      <p>
        {failure instanceof Error ? failure.message : String(failure)}. Your pictures are in the gallery. It may be the
        settings that are kept in the browser:
      </p>
      <button
        type="button"
        class="primary"
        onClick={() => {
          keptNames.forEach(forget);
          location.reload();
        }}
      >
        Begin with fresh settings
      </button>
    </div>
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
      <main>{serverState.value === 'locked' ? <Unlock /> : <Guarded key={name} page={Page} />}</main>
    </>
  );
}
