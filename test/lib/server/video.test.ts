/** Videos over HTTP, from this process and from a worker: all of their frames, by the routes of pictures. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import OpenAI from 'openai';

import { loadPipeline } from '../../../lib';
import { createServer, type Server } from '../../../lib/server';
import { exportSmallWan, framesOf, withVideos, type VideoBundle } from '../../video';

import { Machines, withRedis, type Wire } from './machines';

const request = { prompt: 'a dew drop on a spider web', seed: 7, guidance: {} };
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

withVideos('videos', () => {
  let bundle: VideoBundle;
  let server: Server;
  let url: string;
  let wanted: Buffer;
  beforeAll(async () => {
    bundle = await exportSmallWan();
    const pipeline = await loadPipeline(bundle.folder);
    const { images } = await pipeline.generate(request);
    wanted = Buffer.from(images[0]!.toPng());
    await pipeline.dispose();
    server = createServer({ bundles: [bundle.folder], port: 0, logLevel: 'silent', maxPixels: 64 * 64 * 9 });
    url = await server.listen();
  }, 600_000);
  afterAll(async () => {
    await server?.close();
    bundle?.remove();
  });

  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  test.each(['image/png', 'image/apng'])('as %s is the animated PNG that generate gives', async (accept) => {
    const response = await post('/v1/images', request, { accept });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, accept]);
    const png = await bytesOf(response);
    expect(png.equals(wanted)).toBe(true);
    expect(framesOf(png)).toMatchObject({ frames: { length: 5 }, frameRate: 16 });
  });

  test('as JSON says how many frames there are', async () => {
    const { images } = (await (await post('/v1/images', { ...request, numFrames: 9 })).json()) as Wire;
    expect(images).toMatchObject([{ seed: 7, width: 64, height: 64, frames: 9, frameRate: 16 }]);
    expect(framesOf(Buffer.from(images[0].png, 'base64')).frames).toHaveLength(9);
  });

  test('of a job', async () => {
    const { id } = (await (await post('/v1/jobs', request)).json()) as Wire;
    const events = await (await fetch(`${url}/v1/jobs/${id}/events`)).text();
    const facts = { seed: 7, width: 64, height: 64, frames: 5, frameRate: 16, url: `/v1/jobs/${id}/images/0` };
    expect(JSON.parse(/event: done\ndata: (.*)/.exec(events)![1]!)).toMatchObject({ images: [facts] });
    expect(await (await fetch(`${url}/v1/jobs/${id}`)).json()).toMatchObject({ images: [facts] });
    expect((await bytesOf(await fetch(url + facts.url))).equals(wanted)).toBe(true);
  });

  test("by OpenAI's client", async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', maxRetries: 0 });
    const { data } = await client.images.generate({ model: 'wan', prompt: request.prompt, size: 'auto' });
    const png = Buffer.from(data![0]!.b64_json!, 'base64');
    expect(framesOf(png)).toMatchObject({ frames: { length: 5 }, frameRate: 16 });
  });

  test('the bundle says which lengths there are', async () => {
    const { bundles } = (await (await fetch(`${url}/v1/bundles`)).json()) as Wire;
    expect(bundles).toMatchObject([{ size: { frames: 5, framesStep: 4 }, frameRate: 16 }]);
  });

  test.each(['/v1/images', '/v1/jobs', '/v1/plan'])('%s refuses more pixels than the server makes', async (path) => {
    for (const size of [{ numFrames: 13 }, { width: 128 }]) {
      const response = await post(path, { ...request, ...size });
      const { error } = (await response.json()) as Wire;
      expect([response.status, error.code]).toEqual([400, 'BAD_OPTION']);
      expect(error.message).toMatch(/^width x height x numFrames: expected at most 36864 on this server/);
    }
    expect((await post(path, { ...request, numFrames: 9 })).ok).toBe(true);
  });

  test('a server whose limit is below what the bundle makes by itself says so', async () => {
    const small = createServer({ bundles: [bundle.folder], port: 0, logLevel: 'silent', maxPixels: 64 * 64 });
    await small.load();
    const ask = (body: unknown) =>
      small.fetch(
        new Request('http://127.0.0.1/v1/images', {
          method: 'POST',
          headers: { 'content-type': 'application/json', host: '127.0.0.1' },
          body: JSON.stringify(body),
        }),
      );
    const response = await ask(request);
    expect(response.status).toBe(400);
    expect(((await response.json()) as Wire).error.message).toMatch(
      /64 x 64, 5 frames; ask for a smaller width, height or numFrames/,
    );
    expect((await ask({ ...request, numFrames: 1 })).status).toBe(200);
    await small.close();
  });

  withRedis('of a worker', () => {
    let machines: Machines;
    beforeAll(async () => {
      machines = await Machines.prepare();
      machines.startRedis();
      await machines.startWorker([], [bundle.folder]);
      await machines.startServer({ bundles: [bundle.folder] });
    }, 60_000);
    afterAll(() => machines?.close());

    test('is all of it too', async () => {
      const id = await machines.submit(request);
      expect(await machines.ended(id)).toMatchObject({ state: 'done', images: [{ frames: 5, frameRate: 16 }] });
      expect((await machines.picture(id)).equals(wanted)).toBe(true);
      const { images } = (await (await machines.post('/v1/images', request)).json()) as Wire;
      expect(images).toMatchObject([{ frames: 5, frameRate: 16, png: wanted.toString('base64') }]);
    });
  });
});
