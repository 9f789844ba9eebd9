// The application's main file in the tests: the dialogs answer by themselves, and what the system would show is printed.
import { app, BrowserWindow, dialog } from 'electron';

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const [saveAs, open] = [process.env.TEST_SAVE_AS, process.env.TEST_OPEN];
dialog.showSaveDialog = async (_window, { defaultPath }) => {
  say({ saves: defaultPath });
  return { canceled: !saveAs, filePath: saveAs ?? '' };
};
dialog.showOpenDialog = async () => ({ canceled: !open, filePaths: open ? [open] : [] });
dialog.showErrorBox = (_title, content) => say({ error: content });
for (const name of ['setProgressBar', 'focus']) {
  const real = BrowserWindow.prototype[name];
  BrowserWindow.prototype[name] = function (...args) {
    say({ [name]: args[0] ?? true });
    return real.apply(this, args);
  };
}
app.on('child-process-gone', (_event, details) => say({ gone: details.reason }));
await import('./app.js');
