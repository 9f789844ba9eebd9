/** Signals to `detail-guidance serve`: the picture that is made is finished and sent, what waits is told, nothing is left over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect, test } from '@jest/globals';

import { packageRoot } from '../../../lib/files/packageRoot';

const isPng = async (response: Response) =>
  Buffer.from(await response.arrayBuffer())
    .subarray(1, 4)
    .toString() === 'PNG';

/** A server as a process of its own, and what it is asked. */
async function start() {
  const cli = join(packageRoot(), 'dist', 'cli.js');
  const flags = ['--port', '0', '--device', 'cpu', '--log-level', 'silent'];
  const child = spawn(process.execPath, [cli, 'serve', 'embedded', ...flags]);
  const ended = once(child, 'exit');
  let url = '';
  for await (const line of createInterface({ input: child.stdout })) {
    url = /^listening on (http\S+)/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  const ask = (numInferenceSteps: number) =>
    fetch(`${url}/v1/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'image/png' },
      body: JSON.stringify({ classLabel: 3, seed: 1, numInferenceSteps }),
    });
  /** Until the server's metrics have it. */
  const shows = async (figure: string) => {
    while (!(await (await fetch(`${url}/metrics`)).text()).includes(`detail_guidance_${figure}\n`)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return { child, url, ask, shows, ended: ended.then(([code, signal]) => ({ code, signal })) };
}

test('the job that runs is finished, the one that waits is turned away, new ones find nobody', async () => {
  const { child, url, ask, shows, ended } = await start();
  try {
    const runs = ask(250);
    await shows('jobs_running 1');
    const waits = ask(10);
    await shows('queue_length 1');
    child.kill('SIGTERM');
    const [first, second] = await Promise.all([runs, waits]);
    expect(first.status).toBe(200);
    expect(await isPng(first)).toBe(true);
    expect(second.status).toBe(503);
    expect(await second.json()).toMatchObject({ error: { code: expect.stringMatching(/^[A-Z_]+$/) } });
    expect(await ended).toEqual({ code: 0, signal: null });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  } finally {
    child.kill('SIGKILL');
  }
}, 120_000);

test.each<[string, NodeJS.Signals[]]>([
  ['a terminal that is closed', ['SIGHUP', 'SIGHUP']],
  // The terminal sends it to all of its programs, and npm sends it on.
  ['one Ctrl-C under npx', ['SIGINT', 'SIGINT']],
])(
  '%s lets the job that runs end',
  async (_, signals) => {
    const { child, ask, shows, ended } = await start();
    try {
      const runs = ask(80);
      await shows('jobs_running 1');
      for (const signal of signals) {
        child.kill(signal);
        // As two, and not as one.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(await isPng(await runs)).toBe(true);
      expect(await ended).toEqual({ code: 0, signal: null });
    } finally {
      child.kill('SIGKILL');
    }
  },
  120_000,
);

test('a second SIGTERM, later, does not wait for the job that runs', async () => {
  const { child, ask, shows, ended } = await start();
  try {
    const runs = ask(250);
    await shows('jobs_running 1');
    child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 600));
    child.kill('SIGTERM');
    await expect(runs).rejects.toThrow();
    expect(await ended).toEqual({ code: null, signal: 'SIGTERM' });
  } finally {
    child.kill('SIGKILL');
  }
}, 120_000);
