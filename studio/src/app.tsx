/** The page's frame: its parts, and what the server is doing. */
import { computed, effect, signal, useSignal } from '@preact/signals';
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
addEventListener('hashchange', () => {
  current.value = nameOfAddress();
  // Pages have nothing to do with each other's height: each begins at its top.
  scrollTo(0, 0);
});
const pageNow = computed(() => pages.find(({ name }) => name === current.value) ?? pages[0]!);
effect(() => void (document.title = `${pageNow.value.title} · Detail Guidance studio`));

function Notices() {
  const missing = missingBundle.value;
  return (
    <section class="notices" aria-label="Messages" aria-live="polite">
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
    </section>
  );
}

function Unlock() {
  const isWrong = useSignal(false);
  return (
    <form
      class="unlock"
      onSubmit={(event) => {
        event.preventDefault();
        setToken(new FormData(event.currentTarget).get('token') as string);
        void connect().then(() => (isWrong.value = serverState.value === 'locked'));
      }}
    >
      <h2>This server asks for its token</h2>
      <p>It was given by --token, or by DETAIL_GUIDANCE_TOKEN, when the server was started.</p>
      <label>
        Token <input name="token" type="password" autocomplete="off" required minLength={8} />
      </label>
      {isWrong.value && (
        <p class="problem" role="alert">
          That is not its token.
        </p>
      )}
      <button class="primary">Enter</button>
    </form>
  );
}

/** Reached by another name than this machine's own, as behind a proxy. */
const Foreign = () => (
  <div class="unlock" role="alert">
    <h2>This server answers to its own machine alone</h2>
    <p>
      It has no token, and this page was reached as {location.host}. Start it with --token to use it from elsewhere.
    </p>
  </div>
);

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
  const { name, page: Page } = pageNow.value;
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
      <CopyDialog />
      <main>
        <DropTarget />
        {serverState.value === 'locked' && <Unlock />}
        {serverState.value === 'foreign' && <Foreign />}
        {serverState.value !== 'locked' && serverState.value !== 'foreign' && <Guarded key={name} page={Page} />}
      </main>
    </>
  );
}
