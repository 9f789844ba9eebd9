/** Videos of the facade and of the command line: whole, as animated PNG. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { loadPipeline, readOptions, type GeneratedImage, type Pipeline } from '../../lib';
import { decodePng } from '../../lib/image/png';
import { exportSmallWan, framesOf, withVideos, type VideoBundle } from '../video';

import { program, run } from './cli/run';

const request = { prompt: 'a dew drop on a spider web', seed: 7, guidance: {} };
const flags = ['--prompt', request.prompt, '--seed', '7', '--no-guidance'];

withVideos('a video', () => {
  const folder = mkdtempSync(join(tmpdir(), 'videos-'));
  let bundle: VideoBundle;
  let pipeline: Pipeline;
  let video: GeneratedImage;
  beforeAll(async () => {
    bundle = await exportSmallWan();
    pipeline = await loadPipeline(bundle.folder, { device: 'cpu' });
    video = (await pipeline.generate(request)).images[0]!;
  }, 600_000);
  afterAll(async () => {
    await pipeline?.dispose();
    bundle?.remove();
    rmSync(folder, { recursive: true });
  });
  const generate = (...args: string[]) => run(['generate', bundle.folder, ...flags, ...args], { cwd: folder });

  test('has its frames and its frame rate, and its PNG is all of it', async () => {
    expect([video.frames.length, video.frameRate]).toEqual([5, 16]);
    const png = video.toPng();
    expect(framesOf(png)).toEqual({ frames: video.frames.map((frame) => Uint8Array.from(frame)), frameRate: 16 });
    expect(Buffer.from(await video.toPngAside()).equals(Buffer.from(png))).toBe(true);
    const file = join(folder, 'saved.apng');
    await video.save(file);
    expect(readFileSync(file).equals(Buffer.from(png))).toBe(true);
    // Frames that are all the same would be one picture.
    expect(new Set(video.frames.map((frame) => Buffer.from(frame).toString('hex'))).size).toBe(5);
  });

  test('plays at another rate, and a frame of it is a plain PNG', () => {
    expect(framesOf(video.toPng({ frameRate: 7.5 })).frameRate).toBe(7.5);
    const fourth = video.toPng({ frame: 3 });
    expect(Buffer.from(fourth).includes('acTL')).toBe(false);
    expect([...decodePng(fourth).pixels]).toEqual([...video.frames[3]!]);
    expect(() => video.toPng({ frame: 5 })).toThrow(/frame: expected a whole number from 0 to 4, received 5/);
  });

  test('a frame rate that there is not is refused', async () => {
    const error = {
      code: 'BAD_OPTION',
      message: expect.stringMatching(/^frameRate: expected a number from 0.1 to 240/),
    };
    await expect(video.toPngAside({ frameRate: 0 })).rejects.toMatchObject(error);
    await expect(video.save(join(folder, 'no.apng'), { frameRate: 1000 })).rejects.toMatchObject(error);
    expect(readdirSync(folder)).not.toContain('no.apng');
  });

  test('its PNG makes it again, to the byte', async () => {
    const png = video.toPng();
    const again = await pipeline.generate(readOptions(png));
    expect(Buffer.from(again.images[0]!.toPng()).equals(Buffer.from(png))).toBe(true);
  });

  test('of one frame is a picture', async () => {
    const { images } = await pipeline.generate({ ...request, numFrames: 1 });
    expect(images[0]!.frameRate).toBe(16);
    expect(Buffer.from(images[0]!.toPng()).includes('acTL')).toBe(false);
  });

  test('--out cat.apng is one file, the bytes of the facade', async () => {
    const { code, stdout, stderr } = await generate('--out', 'cat.apng', '--json');
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    expect(readFileSync(join(folder, 'cat.apng')).equals(Buffer.from(video.toPng()))).toBe(true);
    expect(JSON.parse(stdout)).toMatchObject({
      images: [{ file: join(folder, 'cat.apng'), frames: 5, frameRate: 16 }],
    });
  });

  test('--frame-rate and --frames', async () => {
    expect(await generate('--out', 'slow.apng', '--frame-rate', '4', '--frames', '9')).toMatchObject({ code: 0 });
    const { frames, frameRate } = framesOf(readFileSync(join(folder, 'slow.apng')));
    expect([frames.length, frameRate]).toEqual([9, 4]);
  });

  test('--out cat.png is a folder of frames', async () => {
    expect(await generate('--out', 'cat.png')).toMatchObject({ code: 0, stdout: `${join(folder, 'cat')}\n` });
    const files = readdirSync(join(folder, 'cat')).sort();
    expect(files).toEqual(['0000.png', '0001.png', '0002.png', '0003.png', '0004.png']);
    files.forEach((file, frame) =>
      expect([...decodePng(readFileSync(join(folder, 'cat', file))).pixels]).toEqual([...video.frames[frame]!]),
    );
  });

  test('stdout gets all of it', () => {
    const args = [program, 'generate', bundle.folder, ...flags, '--out', '-', '--quiet'];
    const { stdout } = spawnSync(process.execPath, args, { cwd: folder });
    expect(stdout.equals(Buffer.from(video.toPng()))).toBe(true);
  });

  test.each([
    [['--out', 'cat.apng', '--frame-rate', '0'], /--frame-rate: expected a number from 0.1 to 240, received 0/],
    [['--out', 'cat.png', '--frame-rate', '8'], /--frame-rate: expected a video in one file/],
  ])('%j is refused', async (args, message) => {
    expect(await generate(...args)).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  });
});

test.each([
  [['--out', 'cat.apng'], /--out: expected a name that ends in .png, received 'cat.apng' \(this model makes single/],
  [['--out', 'cat.png', '--frame-rate', '8'], /--frame-rate: expected nothing, received 8/],
])('%j is refused for a model of pictures', async (args, message) => {
  const outcome = await run(['generate', 'embedded', '--class', '0', ...args]);
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
});
