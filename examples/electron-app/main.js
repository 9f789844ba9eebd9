// A window with a page of its own. The model is in a process of its own; the page calls it through the bridge.
import { app, BrowserWindow, dialog, Menu } from 'electron';
import { preloadFile, startPipeline } from 'detail-guidance/electron';

import { chooseGallery, openStudio, registerStudio } from './studio.js';

/** @type {BrowserWindow | undefined} */
let window;

async function open() {
  window = new BrowserWindow({
    width: 720,
    height: 500,
    title: 'Detail Guidance',
    webPreferences: { preload: preloadFile(), sandbox: true, contextIsolation: true, nodeIntegration: false },
  });
  window.on('closed', () => (window = undefined));
  // The page goes nowhere else, and opens nothing.
  window.webContents.on('will-navigate', (event) => event.preventDefault());
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  await window.loadFile('page/index.html');
  const pipeline = await startPipeline('embedded');
  pipeline.onEnd(({ message }) => dialog.showErrorBox('Detail Guidance', message));
  if (window) pipeline.connect(window);
}

/** @param {unknown} error */
const fail = (error) => {
  dialog.showErrorBox('Detail Guidance', error instanceof Error ? error.message : String(error));
  app.quit();
};

// A second start shows the window of the first.
if (app.requestSingleInstanceLock()) {
  registerStudio();
  app.on('second-instance', () => {
    const [first] = window ? [window] : BrowserWindow.getAllWindows();
    if (first?.isMinimized()) first.restore();
    first?.focus();
  });
  // What runs ends with its window: the process that has the model is ended when the application quits.
  app.on('window-all-closed', () => app.quit());
  app
    .whenReady()
    .then(() => {
      const studio = { label: 'Studio', click: () => void openStudio().catch(fail) };
      const gallery = { label: 'Folder of the gallery…', click: () => void chooseGallery().catch(fail) };
      Menu.setApplicationMenu(
        Menu.buildFromTemplate([
          { role: 'fileMenu', submenu: [studio, gallery, { role: 'quit' }] },
          { role: 'editMenu' },
          { role: 'viewMenu' },
        ]),
      );
      return process.argv.includes('--studio') ? openStudio() : open();
    })
    .catch(fail);
} else {
  app.quit();
}
