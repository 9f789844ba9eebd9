/** What is measured of the server, each figure with its goal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { packageRoot } from '../../lib/files/packageRoot';
import type { ImageRequest } from '../../lib/server';
import { ratioFigure, type Figure } from '../figure';
import { median, quantile, ratioOf, slopeOf } from '../statistics';

import { Subject } from './subject';

const seconds = async (action: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await action();
  return (performance.now() - started) / 1000;
};

/** A picture over HTTP and the same without a server, in turn. */
export async function addedTime(rounds: number): Promise<Figure[]> {
  const request: ImageRequest = { classLabel: 'Sneaker', seed: 7 };
  const subject = await Subject.start({});
  try {
    const served: number[] = [];
    const native: number[] = [];
    for (let round = -2; round < rounds; round++) {
      const both = [
        async () => served.push(await seconds(() => subject.picture(request))),
        async () => native.push(await subject.ask('native', { bundle: 'embedded', request })),
      ];
      for (const take of round % 2 === 0 ? both : both.reverse()) await take();
      // The first ones load, and warm up.
      if (round < 0) served.length = native.length = 0;
    }
    const added = served.map((time, at) => (time - native[at]!) * 1000);
    const ratio = ratioOf(served, native);
    return [
      ratioFigure('served-over-native', ratio, '<= 1.02', ratio.ratio <= 1.02),
      {
        name: 'added-ms',
        value: median(added),
        unit: 'ms',
        quartiles: [quantile(added, 0.25), quantile(added, 0.75)],
        goal: '<= 10',
        met: median(added) <= 10,
        samples: added.length,
      },
    ];
  } finally {
    await subject.close();
  }
}

/**
 * How long the event loop stands still at most while a picture of 1024 x 1024 is sampled, decoded, encoded and sent.
 *
 * @param bundle one whose pictures have that size
 */
export async function loopDelay(bundle: string, rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ bundles: [bundle], maxBody: 2 ** 26 });
  try {
    const { bundles } = await subject.get<{ bundles: { size: { width: number; height: number } }[] }>('/v1/bundles');
    const { width, height } = bundles[0]!.size;
    if (width !== 1024 || height !== 1024) throw new Error(`The pictures are ${width} x ${height}.`);
    const conditioning = { text: zeros([1, 6, 24]), pooled: zeros([1, 12]) };
    const request: ImageRequest = { seed: 7, conditioning, numInferenceSteps: 4, guidance: {} };
    const kinds: Record<string, () => Promise<unknown>> = {
      'event-loop-max-ms': () => subject.picture(request),
      'event-loop-max-ms-json': async () => (await subject.post('/v1/images', request)).arrayBuffer(),
      'event-loop-max-ms-idle': () => new Promise((resolve) => setTimeout(resolve, 500)),
    };
    const figures: Figure[] = [];
    for (const [name, action] of Object.entries(kinds)) {
      await action();
      const delays: number[] = [];
      for (let round = 0; round < rounds; round++) {
        await subject.ask('watchLoop');
        await action();
        delays.push(await subject.ask('loopMax'));
      }
      figures.push({
        name,
        value: median(delays),
        unit: 'ms',
        quartiles: [quantile(delays, 0.25), quantile(delays, 0.75)],
        goal: name.endsWith('idle') ? '' : '<= 5',
        met: name.endsWith('idle') || median(delays) <= 5,
        samples: rounds,
      });
    }
    return figures;
  } finally {
    await subject.close();
  }
}

const zeros = (shape: number[]) => {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: 'float32' as const, shape, data: Buffer.alloc(4 * count).toString('base64') };
};

/** Whether requests in a row leave something behind. */
export async function memorySlope(requests: number): Promise<Figure[]> {
  const subject = await Subject.start({});
  try {
    const request: ImageRequest = { classLabel: 'Coat', numInferenceSteps: 4 };
    // Its compiled code and its heap grow for so long, of pictures without a server as well; it stays as it is then.
    const warmUp = 500;
    const resident: number[] = [];
    for (let at = 0; at < warmUp + requests; at++) {
      await subject.picture({ ...request, seed: at });
      if (at >= warmUp) resident.push(await subject.ask('resident'));
    }
    const { slope, standardError } = slopeOf(resident);
    return [
      {
        name: 'resident-slope',
        value: slope,
        unit: 'bytes a request',
        standardError,
        goal: '<= 4096, or within 3 standard errors of 0',
        met: slope <= Math.max(4096, 3 * standardError),
        samples: requests,
      },
    ];
  } finally {
    await subject.close();
  }
}

/** Many clients at once: what they are refused, whether their order is kept, and the pictures a second. */
export async function manyClients(clients: number, rounds: number): Promise<Figure[]> {
  const subject = await Subject.start({ maxQueue: clients });
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-bench-'));
  try {
    const request: ImageRequest = { classLabel: 'Coat' };
    await subject.picture(request);
    const served: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const both = [
        async () =>
          served.push(
            await seconds(() =>
              Promise.all(Array.from({ length: clients }, (_, seed) => subject.picture({ ...request, seed }))),
            ),
          ),
        async () => alone.push((await commandLine(clients + 1, folder)) - (await commandLine(1, folder))),
      ];
      for (const take of round % 2 === 0 ? both : both.reverse()) await take();
    }
    const throughput = ratioOf(alone, served);
    const outcome = await floodAndOrder(subject, clients);
    return [
      ratioFigure('throughput-over-cli', throughput, '>= 0.98', throughput.ratio >= 0.98),
      { ...count('failures-but-429', outcome.failures), samples: outcome.asked },
      { ...count('refused-429-without-retry-after', outcome.refusedSilently), samples: outcome.refused },
      { ...count('out-of-order', outcome.outOfOrder), samples: outcome.accepted },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await subject.close();
  }
}

const count = (name: string, value: number): Omit<Figure, 'samples'> => ({
  name,
  value,
  unit: '',
  goal: '0',
  met: value === 0,
});

/** Four times as many requests as may wait, all at once: some are refused, the others end in the order of their acceptance. */
async function floodAndOrder(subject: Subject, clients: number) {
  const short: ImageRequest = { classLabel: 'Coat', numInferenceSteps: 4 };
  const answers = await Promise.all(
    Array.from({ length: 4 * clients }, async (_, seed) => {
      const response = await subject.post('/v1/jobs', { ...short, seed });
      const { status, headers } = response;
      const body = (await response.json()) as { id: string };
      return { status, retryAfter: headers.get('retry-after'), id: body.id };
    }),
  );
  const accepted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429);
  const jobs: { state: string; created: string; ended: string | null }[] = [];
  for (const { id } of accepted) {
    const events = await fetch(`${subject.url}/v1/jobs/${id}/events`);
    await events.text();
    jobs.push(await subject.get(`/v1/jobs/${id}`));
  }
  const time = (text: string | null) => Date.parse(text ?? '');
  const ends = jobs.sort((a, b) => time(a.created) - time(b.created));
  return {
    asked: answers.length,
    accepted: accepted.length,
    refused: refused.length,
    failures: answers.length - accepted.length - refused.length + jobs.filter(({ state }) => state !== 'done').length,
    refusedSilently: refused.filter(({ retryAfter }) => !(Number(retryAfter) >= 1)).length,
    // Several are accepted in one millisecond: those may change places in this list, and nowhere else.
    outOfOrder: ends.filter((job, at) =>
      ends.slice(0, at).some((other) => time(other.created) < time(job.created) && time(other.ended) > time(job.ended)),
    ).length,
  };
}

/** Seconds of the command line for so many pictures, loading and writing included. */
async function commandLine(pictures: number, folder: string): Promise<number> {
  const program = join(packageRoot(), 'dist', 'cli.js');
  const args = ['generate', 'embedded', '--device', 'cpu', '--class', 'Coat', '-n', String(pictures), '--quiet'];
  return seconds(async () => {
    const child = spawn(process.execPath, [program, ...args, '--out', join(folder, 'picture.png')]);
    const [status] = (await once(child, 'exit')) as [number];
    if (status !== 0) throw new Error(`The command line ended with status ${status}.`);
  });
}
