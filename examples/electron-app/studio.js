// The studio of `detail-guidance studio` in a window. Its server is in a process of its own and listens nowhere: requests of
// the scheme studio: go to it as messages, so no other program of this machine can reach it, and no port can be taken.
import { BrowserWindow, protocol } from 'electron';
import { startServer, studioFolder } from 'detail-guidance/electron';

const scheme = 'studio';

/** Before the application is ready. */
export function registerStudio() {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true };
  protocol.registerSchemesAsPrivileged([{ scheme, privileges }]);
}

/** @type {Promise<import('detail-guidance/electron').ServerProcess> | undefined} */
let starting;

export async function openStudio() {
  const window = new BrowserWindow({
    width: 1280,
    height: 860,
    title: 'Detail Guidance studio',
    webPreferences: { sandbox: true, contextIsolation: true, nodeIntegration: false },
  });
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  starting ??= startServer({ page: studioFolder(), logLevel: 'error' }).then((server) => {
    protocol.handle(scheme, (request) => server.fetch(request));
    return server;
  });
  const server = await starting;
  server.showProgress(window);
  await window.loadURL(`${scheme}://app/`);
}
