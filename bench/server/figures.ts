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

/**
 * A picture over HTTP and the same without a server, in turn: milliseconds of the embedded model's, which takes so short
 * that they are seen, and the ratio for one that takes as long as pictures do.
 *
 * @param bundle whose pictures take about a second
 */
export async function addedTime(bundle: string, rounds: number): Promise<Figure[]> {
  const short = await servedAndNative('embedded', { classLabel: 'Sneaker', seed: 7 }, rounds);
  const added = short.served.map((time, at) => (time - short.native[at]!) * 1000);
  const long = await servedAndNative(
    bundle,
    { classLabel: 3, seed: 7, guidance: { classifierFree: { scale: 3 } } },
    rounds,
  );
  const ratio = ratioOf(long.served, long.native);
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
}

/** Seconds of the same picture over HTTP and without a server, in turn. */
async function servedAndNative(bundle: string, request: ImageRequest, rounds: number) {
  const subject = await Subject.start({ bundles: [bundle] });
  try {
    const served: number[] = [];
    const native: number[] = [];
    for (let round = -2; round < rounds; round++) {
      const both = [
        async () => served.push(await seconds(() => subject.picture(request))),
        async () => native.push(await subject.ask('native', { bundle, request })),
      ];
      for (const take of round % 2 === 0 ? both : both.reverse()) await take();
      // The first ones load, and warm up.
      if (round < 0) served.length = native.length = 0;
    }
    return { served, native };
  } finally {
    await subject.close();
  }
}

/**
 * How long the event loop stands still at most while a picture of 1024 x 1024 is sampled, decoded, encoded and sent; and
 * how much of that at most it works: the rest it waits for a processor that others use, among them the sampling.
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
      '': () => subject.picture(request),
      '-json': async () => (await subject.post('/v1/images', request)).arrayBuffer(),
      '-idle': () => new Promise((resolve) => setTimeout(resolve, 500)),
    };
    const figures: Figure[] = [];
    for (const [kind, action] of Object.entries(kinds)) {
      await action();
      const delays: number[] = [];
      const busy: number[] = [];
      for (let round = 0; round < rounds; round++) {
        await subject.ask('watchLoop');
        await action();
        delays.push(await subject.ask('loopMax'));
        const work = await subject.ask('loopBusy');
        if (work !== null) busy.push(work);
      }
      for (const [name, values] of [
        [`event-loop-max-ms${kind}`, delays],
        [`event-loop-busy-max-ms${kind}`, busy],
      ] as const) {
        if (values.length === 0) continue;
        const isJudged = kind !== '-idle';
        figures.push({
          name,
          value: median(values),
          unit: 'ms',
          quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
          goal: isJudged ? '<= 5' : '',
          met: !isJudged || median(values) <= 5,
          samples: values.length,
        });
      }
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

/** A picture that many ask for, over HTTP or by the command line. */
interface Load {
  bundle: string;
  request: ImageRequest;
  flags: string[];
}

const shortLoad: Load = { bundle: 'embedded', request: { classLabel: 'Coat' }, flags: ['--class', 'Coat'] };

/**
 * Many clients at once: what they are refused, whether their order is kept, and the pictures a second.
 *
 * @param bundle whose pictures take about half a second in four steps; the embedded model's take so short that answering
 * for one is seen in the next
 */
export async function manyClients(bundle: string, clients: number, rounds: number): Promise<Figure[]> {
  const long: Load = {
    bundle,
    request: { classLabel: 3, numInferenceSteps: 4 },
    flags: ['--class', '3', '--steps', '4'],
  };
  const throughput = await throughputOverCli(long, clients, rounds);
  const ofShort = await throughputOverCli(shortLoad, clients, rounds);
  const outcome = await floodAndOrder(clients);
  return [
    ratioFigure('throughput-over-cli', throughput, '>= 0.98', throughput.ratio >= 0.98),
    ratioFigure('throughput-over-cli-short', ofShort, '', true),
    { ...count('failures-but-429', outcome.failures), samples: outcome.asked },
    { ...count('refused-429-without-retry-after', outcome.refusedSilently), samples: outcome.refused },
    { ...count('out-of-order', outcome.outOfOrder), samples: outcome.accepted },
  ];
}

async function throughputOverCli(load: Load, clients: number, rounds: number): Promise<ReturnType<typeof ratioOf>> {
  const subject = await Subject.start({ bundles: [load.bundle], maxQueue: clients });
  const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-bench-'));
  try {
    await subject.picture(load.request);
    const all = () =>
      Promise.all(Array.from({ length: clients }, (_, seed) => subject.picture({ ...load.request, seed })));
    const served: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const both = [
        async () => served.push(await seconds(all)),
        async () => alone.push((await commandLine(load, clients + 1, folder)) - (await commandLine(load, 1, folder))),
      ];
      for (const take of round % 2 === 0 ? both : both.reverse()) await take();
    }
    return ratioOf(alone, served);
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
async function floodAndOrder(clients: number) {
  const subject = await Subject.start({ maxQueue: clients });
  try {
    await subject.picture(shortLoad.request);
    return await flooded(subject, clients);
  } finally {
    await subject.close();
  }
}

async function flooded(subject: Subject, clients: number) {
  const short: ImageRequest = { ...shortLoad.request, numInferenceSteps: 4 };
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
async function commandLine({ bundle, flags }: Load, pictures: number, folder: string): Promise<number> {
  const program = join(packageRoot(), 'dist', 'cli.js');
  const args = ['generate', bundle, '--device', 'cpu', ...flags, '-n', String(pictures), '--quiet'];
  return seconds(async () => {
    const child = spawn(process.execPath, [program, ...args, '--out', join(folder, 'picture.png')]);
    const [status] = (await once(child, 'exit')) as [number];
    if (status !== 0) throw new Error(`The command line ended with status ${status}.`);
  });
}
