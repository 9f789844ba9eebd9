/** Requests that share an evaluation: each gets the picture that it would have got alone. */
import { expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { decodePng } from '../../../lib/image/png';
import { createServer } from '../../../lib/server';
import { fitsTogether, joinedOptions } from '../../../lib/server/batch';
import { Job } from '../../../lib/server/job';
import { imageRequestSchema, type ImageRequestInput } from '../../../lib/server/request';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

const job = (request: ImageRequestInput, bundle = 'embedded') => new Job(bundle, imageRequestSchema.parse(request));
const base = { classLabel: 'Coat', seed: 1, guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3 } } };

test.each<[string, ImageRequestInput, boolean]>([
  ['another seed and class', { ...base, seed: 2, classLabel: 'Bag' }, true],
  ['other scales', { ...base, guidance: { classifierFree: { scale: 7 }, detail: { scale: 0.1 } } }, true],
  ['a scale that is off', { ...base, guidance: { classifierFree: { scale: 1 }, detail: { scale: 0.3 } } }, false],
  [
    'a scale below the one that is off',
    { ...base, guidance: { classifierFree: { scale: 0.5 }, detail: { scale: 0.3 } } },
    true,
  ],
  ['another layer', { ...base, guidance: { ...base.guidance, detail: { scale: 0.3, layer: 2 } } }, false],
  ['other steps', { ...base, numInferenceSteps: 3 }, false],
  ['another size', { ...base, width: 56, height: 56 }, false],
  ['several pictures', { ...base, numImages: 2 }, false],
  ['previews', { ...base, preview: true }, false],
  ['a list of classes', { ...base, classLabel: ['Coat'] }, false],
  ['no class', { ...base, classLabel: undefined }, false],
])('%s: fits %j: %p', (_, other, fits) => {
  expect(fitsTogether(job(base), job(other))).toBe(fits);
});

test('a scale that is off fits none that is not, also below it', () => {
  const scaled = (scale: number) => job({ ...base, guidance: { classifierFree: { scale } } });
  expect(fitsTogether(scaled(0.5), scaled(1))).toBe(false);
  expect(fitsTogether(scaled(0), scaled(0.5))).toBe(true);
});

test('another bundle does not fit', () => {
  expect(fitsTogether(job(base), job(base, 'other'))).toBe(false);
});

test('the same guidance is said once, others one by one', () => {
  expect(joinedOptions([job(base), job(base)], [1, 2])).toMatchObject({ guidance: base.guidance, seed: [1, 2] });
  const other = { ...base, guidance: { classifierFree: { scale: 3 }, detail: { scale: 0.3 } } };
  const joined = joinedOptions([job(base), job(other)], [1, 2]);
  expect(joined.guidance).toBeUndefined();
  expect(joined.guidancePerImage).toMatchObject([base.guidance, other.guidance]);
});

test('requests that wait together are made together, and are the pictures of each', async () => {
  const server = createServer({ port: 0, logLevel: 'silent', batch: 4 });
  const url = await server.listen();
  const submit = async (body: unknown) => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return ((await (await fetch(`${url}/v1/jobs`, init)).json()) as Wire).id as string;
  };
  const ended = async (id: string): Promise<Wire> => {
    await (await fetch(`${url}/v1/jobs/${id}/events`)).text();
    return (await fetch(`${url}/v1/jobs/${id}`)).json();
  };
  const requests = ['Coat', 'Sneaker', 'Bag', 'Shirt'].map((classLabel, at) => ({
    classLabel,
    seed: at,
    numInferenceSteps: 6,
    guidance: { classifierFree: { scale: 0.5 + at }, detail: { scale: 0.2 + at / 10 } },
  }));
  // While this one runs, the others gather.
  const first = await submit({ classLabel: 'Coat', numInferenceSteps: 60, guidance: {} });
  const ids = [];
  for (const request of requests) ids.push(await submit(request));
  expect((await ended(first)).plan.batchSize).toBe(1);
  const pipeline = await loadPipeline('embedded', { device: 'cpu' });
  for (const [at, id] of ids.entries()) {
    const { state, plan, images } = await ended(id);
    expect([state, plan.batchSize, images[0].seed]).toEqual(['done', 4, at]);
    const png = await (await fetch(url + images[0].url)).arrayBuffer();
    const { pixels } = decodePng(new Uint8Array(png));
    const alone = (await pipeline.generate(requests[at])).images[0]!.pixels;
    // Of 255: last bits of the latents that rounding to a level makes visible.
    const largest = pixels.reduce((most, level, pixel) => Math.max(most, Math.abs(level - alone[pixel]!)), 0);
    expect(largest).toBeLessThanOrEqual(1);
  }
  await pipeline.dispose();
  await server.close();
}, 60_000);

test('of requests that share a call, the one that is wrong fails, and one that is cancelled ends, without the others', async () => {
  // Of the second bundle nothing is known before it is loaded, so all its requests are taken.
  const server = createServer({ bundles: ['embedded', 'embedded'], port: 0, logLevel: 'silent', batch: 4 });
  const url = await server.listen();
  const submit = async (body: unknown) => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return ((await (await fetch(`${url}/v1/jobs`, init)).json()) as Wire).id as string;
  };
  const first = await submit({ classLabel: 'Coat', numInferenceSteps: 60 });
  const ids: string[] = [];
  for (const classLabel of ['Coat', 'Hat', 'Bag', 'Shirt']) {
    ids.push(await submit({ bundle: 'embedded-2', classLabel, seed: 1, numInferenceSteps: 2 }));
  }
  await fetch(`${url}/v1/jobs/${ids[2]}`, { method: 'DELETE' });
  const states: unknown[] = [];
  const classes: unknown[] = [];
  for (const id of [first, ...ids]) {
    await (await fetch(`${url}/v1/jobs/${id}/events`)).text();
    const { state, error, plan } = (await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Wire;
    states.push([state, error?.code]);
    if (plan) classes.push(plan.classes);
  }
  const done = ['done', undefined];
  expect(states).toEqual([done, done, ['failed', 'CLASS_OUT_OF_RANGE'], ['cancelled', undefined], done]);
  // What the neighbours asked for is nobody's business.
  expect(classes).toEqual([[4], [4], [6]]);
  await server.close();
}, 60_000);
