/** SIGTERM to `detail-guidance serve`: the picture that is made is finished and sent, what waits is told, nothing is left over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect, test } from '@jest/globals';

import { packageRoot } from '../../../lib/files/packageRoot';

test('the job that runs is finished, the one that waits is turned away, new ones find nobody', async () => {
  const cli = join(packageRoot(), 'dist', 'cli.js');
  const child = spawn(process.execPath, [
    cli,
    'serve',
    'embedded',
    '--port',
    '0',
    '--device',
    'cpu',
    '--log-level',
    'silent',
  ]);
  const ended = once(child, 'exit');
  try {
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
    const runs = ask(250);
    await shows('jobs_running 1');
    const waits = ask(10);
    await shows('queue_length 1');
    child.kill('SIGTERM');
    const [first, second] = await Promise.all([runs, waits]);
    expect(first.status).toBe(200);
    expect(
      Buffer.from(await first.arrayBuffer())
        .subarray(1, 4)
        .toString(),
    ).toBe('PNG');
    expect(second.status).toBe(503);
    expect(await second.json()).toMatchObject({ error: { code: expect.stringMatching(/^[A-Z_]+$/) } });
    const [code, signal] = (await ended) as [number | null, string | null];
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  } finally {
    child.kill('SIGKILL');
  }
}, 120_000);
