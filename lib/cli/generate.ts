/** `detail-guidance generate`: pictures of a class or a prompt, each a PNG that carries the plan it was made by. */
import { readFile } from 'node:fs/promises';
import { parse as parsePath, join } from 'node:path';

import { Command } from 'commander';

import { invalid, reasonOf } from '../validation/invalid';
import { checkWritable } from '../files/atomic';
import { makeFolder } from '../files/newFolder';
import { checkFrameRate } from '../image/frameRate';
import type { GenerateOptions } from '../request/generateOptions';
import { loadPipeline, type Pipeline } from '../pipeline';
import type { GeneratedImage } from '../call/result';
import { decodeSafetensors, type Tensor } from '../tensor';

import { printJson } from './failure';
import { guidanceFromFlags } from './guidance';
import { interruptible } from './interrupt';
import { loadOptionsOf } from './load';
import { pictureOutput, type PictureOutput } from './pictureOutput';
import { print } from './print';
import { startProgress } from './progressBar';
import { say } from './quiet';
import { addRunOptions, type RunFlags } from './runOptions';
import { parseNumber, parseWhole } from './values';

interface GenerateFlags extends RunFlags {
  width?: number;
  height?: number;
  frames?: number;
  frameRate?: number;
  maxSequenceLength?: number;
  embeddedScale?: number;
  image?: string;
  strength?: number;
  mask?: string;
  lowMemory?: boolean;
  vaeTiling?: boolean;
  latents?: string;
  out: string;
  explain?: boolean;
  json?: boolean;
}

export function generateCommand(): Command {
  const command = new Command('generate')
    .description('sample pictures with the guidance of the bundle, or with the one given here')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('--width <pixels>', "of the picture (default: the bundle's, or that of --image)", parseWhole)
    .option('--height <pixels>', "of the picture (default: the bundle's, or that of --image)", parseWhole)
    .option('--frames <count>', "frames of a video (default: the bundle's)", parseWhole)
    .option('--frame-rate <rate>', "frames a second of a video in one file (default: the bundle's, or 24)", parseNumber)
    .option('--max-sequence-length <tokens>', 'tokens of the prompt for encoders that take any number', parseWhole)
    .option('--embedded-scale <scale>', 'guidance that the model takes as an input (Flux)', parseNumber)
    .option('--image <file>', 'start from this picture instead of from noise alone')
    .option('--strength <share>', 'how much of --image is noise at the start, up to 1 (default: 0.6)', parseNumber)
    .option('--mask <file>', 'white where --image is painted anew')
    .option('--low-memory', 'load text encoders, transformer and VAE one after the other')
    .option('--vae-tiling', 'decode large pictures in tiles from the start: less memory, a little different');
  return addRunOptions(command, '1, or as many as --latents holds')
    .option(
      '--latents <file>',
      "safetensors file whose tensor 'latents' [images, channels, height, width] replaces the noise of the seed",
    )
    .option(
      '-o, --out <file>',
      'the picture (.png); several are numbered: name-0.png, name-1.png; a video is an animated PNG (.apng), or a folder of its frames; a folder gets sample.png; - is stdout',
      'sample.png',
    )
    .option('--explain', 'print what would be computed in which step, and stop')
    .option('--json', 'print the plan, seeds and files as one JSON document')
    .action((bundle: string, flags: GenerateFlags) => interruptible((signal) => runGenerate(bundle, flags, signal)));
}

async function runGenerate(location: string, flags: GenerateFlags, signal: AbortSignal): Promise<void> {
  const latents = flags.latents === undefined ? undefined : await readLatents(flags.latents);
  const count = flags.numImages ?? latents?.shape[0] ?? 1;
  const { frameRate } = flags;
  if (frameRate !== undefined) checkFrameRate(frameRate, '--frame-rate');
  const output = pictureOutput(flags.out, count, flags.json ?? false);
  const { files, isStdout, isAnimated } = output;
  const longest = files.at(-1);
  if (!flags.explain && longest !== undefined) await checkWritable(longest);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  try {
    checkOutput(flags, output, pipeline);
    const options = await requestOf(flags, latents, pipeline);
    if (flags.explain) {
      const explanation = pipeline.plan(options).explain();
      if (flags.json) printJson(explanation);
      else print(`${explanation.text}\n`);
      return;
    }
    const result = await sample(pipeline, options, count, signal);
    if (isStdout) {
      process.stdout.write(await result.images[0]!.toPngAside({ frameRate }));
      return;
    }
    for (const [index, image] of result.images.entries()) {
      // Between the files, not inside: a picture that is there is whole.
      signal.throwIfAborted();
      if (isAnimated || image.frames.length === 1) await image.save(files[index]!, { frameRate });
      else files[index] = await saveVideo(image, files[index]!);
    }
    if (flags.json) {
      const images = result.images.map(({ seed, width, height, channels, frames, ...image }, index) => ({
        file: files[index],
        seed,
        width,
        height,
        channels,
        frames: frames.length,
        frameRate: frameRate ?? image.frameRate,
      }));
      printJson({
        bundle: pipeline.bundle.name,
        device: pipeline.device,
        dtype: pipeline.dtype,
        images,
        plan: result.plan,
      });
    } else {
      say(files.join('\n'), process.stdout);
    }
  } finally {
    await pipeline.dispose();
  }
}

/** @throws BAD_OPTION for what only a video, or only a video in one file, has */
function checkOutput(
  { out, frameRate }: GenerateFlags,
  { isAnimated, isStdout }: PictureOutput,
  { bundle }: Pipeline,
): void {
  const note = 'this model makes single pictures';
  const isVideo = bundle.latent.frames !== undefined;
  if (isAnimated && !isStdout && !isVideo) throw invalid('--out', 'a name that ends in .png', out, { note });
  if (frameRate === undefined || (isVideo && isAnimated)) return;
  if (!isVideo) throw invalid('--frame-rate', 'nothing', frameRate, { note });
  throw invalid('--frame-rate', 'a video in one file, --out NAME.apng or -, beside it', out);
}

async function requestOf(
  flags: GenerateFlags,
  latents: Tensor | undefined,
  { bundle }: Pipeline,
): Promise<GenerateOptions> {
  const guidance = guidanceFromFlags(flags, bundle);
  const { embeddedScale } = flags;
  return {
    classLabel: flags.class,
    prompt: flags.prompt,
    negativePrompt: flags.negativePrompt,
    width: flags.width,
    height: flags.height,
    numFrames: flags.frames,
    maxSequenceLength: flags.maxSequenceLength,
    image: flags.image === undefined ? undefined : await readInput(flags.image, 'picture', 'a PNG, JPEG or WebP file'),
    strength: flags.strength,
    maskImage: flags.mask === undefined ? undefined : await readInput(flags.mask, 'mask', 'a PNG, JPEG or WebP file'),
    seed: flags.seed,
    latents,
    numImages: flags.numImages,
    numInferenceSteps: flags.steps,
    scheduler: flags.scheduler,
    guidance: embeddedScale === undefined ? guidance : { ...guidance, embedded: { scale: embeddedScale } },
    batchSize: flags.batchSize,
    vaeTiling: flags.vaeTiling,
  };
}

/** Writes the frames into the folder `cat` for `cat.png`. */
async function saveVideo(video: GeneratedImage, file: string): Promise<string> {
  const { dir, name } = parsePath(file);
  const folder = join(dir, name);
  makeFolder(folder);
  await video.saveFrames(folder);
  return folder;
}

async function sample(pipeline: Pipeline, options: GenerateOptions, pictures: number, signal: AbortSignal) {
  const steps = options.numInferenceSteps ?? pipeline.bundle.defaults?.numInferenceSteps ?? 30;
  const progress = startProgress(pictures * steps, 'steps');
  try {
    return await pipeline.generate({
      ...options,
      signal,
      onWarning: ({ message }) => say(message),
      onStep: ({ fraction, image }) => {
        const doing = pictures === 1 ? 'sampling' : `picture ${image + 1} of ${pictures}`;
        progress.update(Math.floor(fraction * pictures * steps), doing);
      },
    });
  } finally {
    progress.stop();
  }
}

async function readLatents(file: string): Promise<Tensor> {
  const bytes = await readInput(file, 'file of latents', 'a safetensors file');
  const { tensors } = decodeSafetensors(bytes);
  const latents = tensors['latents'];
  if (!latents) {
    throw invalid(file, "a tensor 'latents' [images, channels, height, width]", Object.keys(tensors), {
      code: 'BAD_TENSOR',
    });
  }
  return latents;
}

async function readInput(file: string, what: string, expected: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw invalid(file, expected, file, { shown: 'a file that cannot be read', note: reasonOf(cause), cause });
  });
}
