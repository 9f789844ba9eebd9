/** `detail-guidance studio`: the server with the studio's page on it, opened in the browser. */
import { spawn } from 'node:child_process';

import { Command } from 'commander';

import { studioFolder } from '../files/studioFolder';

import { interruptible } from './interrupt';
import { addServeOptions, runServer, type ServeFlags } from './serve';

export function studioCommand(): Command {
  const command = new Command('studio').description('see Detail Guidance work, in the browser (docs/studio.md)');
  return addServeOptions(command)
    .option('--no-open', 'print the address, and do not open the browser')
    .action((bundles: string[], flags: ServeFlags & { open: boolean }) =>
      interruptible((signal) => runStudio(bundles, flags, signal)),
    );
}

async function runStudio(
  bundles: string[],
  { open, ...flags }: ServeFlags & { open: boolean },
  signal: AbortSignal,
): Promise<void> {
  await runServer(bundles, flags, signal, {
    page: studioFolder(),
    onListening: (url) => {
      const address = addressOf(url, flags.token);
      process.stdout.write(`studio at ${address}\n`);
      if (open) openBrowser(address);
    },
  });
}

/** An address that a browser on this machine reaches; the token goes where no server logs it. */
function addressOf(url: string, token: string | undefined): string {
  const reachable = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  return token === undefined ? `${reachable}/` : `${reachable}/#token=${encodeURIComponent(token)}`;
}

/** What opens an address on this system. Where there is no such program, the address was printed. */
function openBrowser(address: string): void {
  const [program, ...args] =
    process.platform === 'win32'
      ? ['rundll32', 'url.dll,FileProtocolHandler', address]
      : [process.platform === 'darwin' ? 'open' : 'xdg-open', address];
  spawn(program!, args, { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}
