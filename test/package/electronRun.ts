/** A real Electron under Xvfb: started, driven through its page, and counted when it should have gone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium, type Browser, type Page } from 'playwright-core';

export class ElectronRun {
  stdout = '';
  stderr = '';
  #browser: Browser | null = null;
  readonly ended: Promise<number | null>;

  private constructor(
    readonly child: ChildProcess,
    private readonly display: ChildProcess,
  ) {
    child.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) =>
      child.on('close', (code) => {
        display.kill();
        resolve(code);
      }),
    );
  }

  static async start(program: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<ElectronRun> {
    const display = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const number = await new Promise<string>((resolve, reject) => {
      display.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
      display.once('error', reject);
    });
    // As root, which containers and CI are, Chromium has no sandbox of its own. A session of its own, to be counted by.
    const child = spawn(program, ['--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', ...args], {
      env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE', DISPLAY: `:${number}`, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    return new ElectronRun(child, display);
  }

  /** The window's page, once it shows an address that matches. */
  async page(address: RegExp): Promise<Page> {
    const debuggers = await this.until(() => /DevTools listening on ws:\/\/([^/]+)/.exec(this.stderr)?.[1]);
    await this.until(async () => {
      const pages = (await (await fetch(`http://${debuggers}/json`)).json()) as { type: string; url: string }[];
      return pages.some(({ type, url }) => type === 'page' && address.test(url));
    });
    this.#browser ??= await chromium.connectOverCDP(`http://${debuggers}`);
    const pages = this.#browser.contexts().flatMap((context) => context.pages());
    return pages.find((page) => address.test(page.url()))!;
  }

  /** What the application printed, one JSON object a line. */
  get events(): Record<string, unknown>[] {
    const lines = this.stdout.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Waits until it is so. */
  async until<Value>(look: () => Value | Promise<Value>, seconds = 60): Promise<NonNullable<Value>> {
    for (let waited = 0; waited < seconds * 10; waited++) {
      const value = await look();
      if (value) return value as NonNullable<Value>;
      if (this.child.exitCode !== null) break;
      await pause(100);
    }
    throw new Error(`It did not come about. Electron said:\n${this.stdout}\n${this.stderr}`);
  }

  /** Its processes: all that were started in its session. */
  get processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => sessionOf(name) === this.child.pid)
      .map(Number);
  }

  /** Those that have a file of such a name in memory. */
  mapped(name: string): string[] {
    return this.processes.flatMap((pid) => {
      const file = `/proc/${pid}/maps`;
      const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
      const line = lines.find((text) => text.endsWith(`/${name}`));
      return line === undefined ? [] : [line.slice(line.indexOf('/'))];
    });
  }

  /** Ends what is left of it. */
  async kill(): Promise<void> {
    for (const pid of this.processes) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself meanwhile.
      }
    }
    await this.ended;
  }
}

/** A process's session; a zombie's is none. */
function sessionOf(pid: string): number | null {
  try {
    const [state, , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? null : Number(session);
  } catch {
    return null;
  }
}
