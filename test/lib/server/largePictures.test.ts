/** Large pictures that are given: read on another thread, within limits. */
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import { createServer, type Server } from '../../../lib/server';
import { encodePng } from '../../../lib/image/png';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
type Wire = any;

// The thread has the build's own copy; who decodes here stops the event loop.
jest.mock('../../../lib/image/decode', () => ({
  ...jest.requireActual<object>('../../../lib/image/decode'),
  decodePicture: () => {
    throw new Error('decoded on this thread');
  },
}));

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, logLevel: 'silent', maxInputPixels: 1024 * 1024 });
  url = await server.listen();
});
afterAll(() => server.close());
afterEach(() => void jest.restoreAllMocks());

const side = 400;
const png = (shift: number) =>
  encodePng({
    width: side,
    height: side,
    channels: 3,
    pixels: Uint8Array.from({ length: side * side * 3 }, (_, at) => ((at >> shift) * 2654435761) >>> 24),
  });
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const common = {
  classLabel: 'Coat',
  seed: 7,
  numInferenceSteps: 4,
  strength: 0.5,
  guidance: {},
  width: 28,
  height: 28,
};

const post = (body: object, accept = 'application/json') =>
  fetch(`${url}/v1/images`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify(body),
  });

test('a body of megabytes, its picture and its mask are read on another thread', async () => {
  const [image, maskImage] = [png(0), png(9)];
  const body = { ...common, image: base64(image), maskImage: `data:image/png;base64,${base64(maskImage)}` };
  const parsed = jest.spyOn(JSON, 'parse');
  const response = await post(body, 'image/png');
  const lengths = parsed.mock.calls.map(([text]) => text.length);
  parsed.mockRestore();
  expect(response.status).toBe(200);
  expect(Math.max(0, ...lengths)).toBeLessThan(2 ** 16);
  const pipeline = await loadPipeline('embedded', { device: 'cpu' });
  try {
    const { images } = await pipeline.generate({ ...common, image, maskImage });
    expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.from(images[0]!.toPng()))).toBe(true);
    expect(image).toHaveLength(png(0).length);
  } finally {
    await pipeline.dispose();
  }
});

test('a picture that unfolds to more pixels than the server takes is refused by its head', async () => {
  const bomb = new Uint8Array(png(0));
  new DataView(bomb.buffer).setUint32(16, 5_000);
  new DataView(bomb.buffer).setUint32(20, 5_000);
  const response = await post({ ...common, image: base64(bomb) });
  const { error } = (await response.json()) as Wire;
  expect([response.status, error.code, error.message]).toEqual([
    400,
    'BAD_OPTION',
    'image, width x height: expected at most 1048576 on this server, received 25000000.',
  ]);
});

test('a large picture that is damaged is refused with the reason of its decoder', async () => {
  const damaged = png(0).slice(0, -5000);
  const response = await post({ ...common, image: base64(damaged) });
  const { error } = (await response.json()) as Wire;
  expect([response.status, error.code]).toEqual([400, 'BAD_TENSOR']);
});

test('large JSON that is nested too deep, or broken, is a 400', async () => {
  for (const body of [`{"image":${'['.repeat(40_000)}${']'.repeat(40_000)}}`, `{"image":"${'A'.repeat(80_000)}`]) {
    const response = await fetch(`${url}/v1/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const { error } = (await response.json()) as Wire;
    expect([response.status, error.code]).toEqual([400, 'BAD_REQUEST']);
  }
});
