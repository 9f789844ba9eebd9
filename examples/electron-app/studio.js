// The studio of `detail-guidance studio` in a window. Its server is in a process of its own and listens nowhere: requests of
// the scheme studio: go to it as messages, so no other program of this machine can reach it, and no port can be taken.
import { app, BrowserWindow, dialog, protocol } from 'electron';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { offerGallery, startServer, studioFolder, studioPreloadFile } from 'detail-guidance/electron';

const scheme = 'studio';

/** Before the application is ready. */
export function registerStudio() {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true };
  protocol.registerSchemesAsPrivileged([{ scheme, privileges }]);
}

/** @type {Promise<import('detail-guidance/electron').ServerProcess> | undefined} */
let starting;

/** @type {{ window: BrowserWindow, close: () => void } | undefined} */
let shown;

/** Where the user's choice of a folder is kept. */
const settingsFile = () => join(app.getPath('userData'), 'gallery.json');

/** Pictures are kept in a folder of the user's, as PNG files that carry their plan. */
function galleryFolder() {
  try {
    return JSON.parse(readFileSync(settingsFile(), 'utf8')).folder;
  } catch {
    return join(app.getPath('pictures'), 'Detail Guidance');
  }
}

/** Another folder, which the system's dialog asks for. */
export async function chooseGallery() {
  const { canceled, filePaths } = await dialog.showOpenDialog({ properties: ['openDirectory', 'createDirectory'] });
  const [folder] = filePaths;
  if (canceled || folder === undefined) return;
  writeFileSync(settingsFile(), JSON.stringify({ folder }));
  if (!shown) return;
  shown.close();
  shown.close = offerGallery(shown.window, folder);
  shown.window.reload();
}

export async function openStudio() {
  if (shown) return shown.window.focus();
  const window = new BrowserWindow({
    width: 1280,
    height: 860,
    title: 'Detail Guidance studio',
    webPreferences: { preload: studioPreloadFile(), sandbox: true, contextIsolation: true, nodeIntegration: false },
  });
  shown = { window, close: offerGallery(window, galleryFolder()) };
  window.on('closed', () => (shown = undefined));
  // The page goes nowhere else.
  window.webContents.on('will-navigate', (event) => event.preventDefault());
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  starting ??= startServer({ page: studioFolder(), logLevel: 'error' }).then((server) => {
    protocol.handle(scheme, (request) => server.fetch(request));
    return server;
  });
  const server = await starting;
  // It may have been closed while the server started.
  if (window.isDestroyed()) return;
  server.showProgress(window);
  await window.loadURL(`${scheme}://app/`);
}
