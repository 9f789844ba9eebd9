/** A request as a program: for Node, for the command line, for curl. */
import { preset } from '../../../lib/guidance/presets';
import type { BundleInfo, ImageRequest } from '../api/types';
import { linkedViews } from '../state/request';
import { entriesOf, type Unknowns } from '../state/sound';
import { viewOf } from '../state/takeOver';

import type { Loading } from './loading';

/** A JavaScript literal; names without quotes where they need none. */
export function literal(value: unknown, indent = ''): string {
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? quoted(value) : String(value);
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => literal(item, inner))
    : Object.entries(value as object)
        .filter(([, item]) => item !== undefined)
        .map(([name, item]) => `${/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)}: ${literal(item, inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{ ', ' }'];
  if (parts.length === 0) return Array.isArray(value) ? '[]' : '{}';
  const line = `${open}${parts.join(', ')}${close}`;
  if (indent.length + line.length <= 96 && !line.includes('\n')) return line;
  return `${open.trim()}\n${parts.map((part) => `${inner}${part},\n`).join('')}${indent}${close.trim()}`;
}

const quoted = (text: string) => `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'").replaceAll('\\"', '"')}'`;

/** Pictures that the program reads: those of the request, and the one that a kept request was started from. */
export function filesOf({ image, maskImage, strength }: ImageRequest): ('image' | 'maskImage')[] {
  return [
    ...(image !== undefined || strength !== undefined ? (['image'] as const) : []),
    ...(maskImage !== undefined ? (['maskImage'] as const) : []),
  ];
}

export function asTypeScript(request: ImageRequest, of: BundleInfo | null, loading: Loading): string {
  const { bundle, ...options } = request;
  const files = filesOf(request);
  const pictures = { image: undefined, maskImage: undefined, ...Object.fromEntries(files.map((name) => [name, name])) };
  const all = { ...options, preview: undefined, ...pictures };
  const body = literal(all).replace(/\b(image|maskImage): '\1'/g, '$1');
  const load = Object.keys(loading).length === 0 ? '' : `, ${literal(loading)}`;
  return [
    ...(files.length > 0 ? ["import { readFile } from 'node:fs/promises';", ''] : []),
    "import { loadPipeline } from 'detail-guidance';",
    '',
    ...files.map((name) => `const ${name} = await readFile('${name}.png');`),
    `const pipeline = await loadPipeline(${quoted(bundle ?? 'embedded')}${load});`,
    `const { images } = await pipeline.generate(${body});`,
    `await images[0].save('${fileFor(of)}');`,
    'await pipeline.dispose();',
    '',
  ].join('\n');
}

/** What it is written to: a video is an animated PNG. */
const fileFor = (of: BundleInfo | null) => (of !== null && of.frameRate !== null ? 'picture.apng' : 'picture.png');

/** For a POSIX shell. */
const shell = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function asCurl(
  { preview: _preview, ...request }: ImageRequest,
  of: BundleInfo | null,
  apiBase: string,
  hasToken: boolean,
): string {
  const command = [
    `curl -s ${shell(`${apiBase}/v1/images`)}`,
    `-H 'Content-Type: application/json' -H 'Accept: image/png'`,
    ...(hasToken ? ['-H "Authorization: Bearer $DETAIL_GUIDANCE_TOKEN"'] : []),
    // As what it reads: a picture to start from is more than a system takes as a word.
    `--data-binary @- > ${fileFor(of)} <<'EOF'`,
  ];
  return `${command.join(' \\\n  ')}\n${JSON.stringify(request)}\nEOF\n`;
}

/** A command that makes the same bytes on the same machine. */
export function asCli(request: ImageRequest, of: BundleInfo | null, { device, dtype }: Loading): string {
  const { bundle = 'embedded', classLabel, prompt, negativePrompt, width, height, numFrames } = request;
  const { seed, numInferenceSteps } = request;
  const [image, mask] = [filesOf(request).includes('image'), request.maskImage !== undefined];
  const words = [
    // A name that begins like an option is one to the shell's reader.
    `detail-guidance generate ${shell(bundle.startsWith('-') ? `./${bundle}` : bundle)}`,
    ...flags({
      class: classWord(classLabel, of),
      prompt,
      'negative-prompt': negativePrompt,
      width,
      height,
      frames: numFrames,
      seed,
      steps: numInferenceSteps,
      scheduler: schedulerWord(request.scheduler),
      image: image ? 'image.png' : undefined,
      strength: image ? request.strength : undefined,
      mask: mask ? 'maskImage.png' : undefined,
    }),
    ...guidanceWords(entriesOf(request.guidance), of),
    ...flags({ device, dtype, out: fileFor(of) }),
  ];
  return words.join(' ');
}

/** The name of a class where it names it alone: numbers are read as numbers, and names without regard to case. */
function classWord(label: ImageRequest['classLabel'], of: BundleInfo | null): unknown {
  const names = Array.isArray(of?.classes) ? of.classes.map((name) => name.toLowerCase()) : [];
  const name = typeof label === 'number' ? names[label] : undefined;
  if (name === undefined || /^\d*$/.test(name) || names.indexOf(name) !== label) return label;
  return (of!.classes as string[])[label];
}

const flags = (values: Record<string, unknown>): string[] =>
  Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name} ${shell(typeof value === 'object' ? JSON.stringify(value) : String(value))}`);

function schedulerWord(scheduler: ImageRequest['scheduler']): unknown {
  const { kind, ...others } = entriesOf(scheduler);
  return kind !== undefined && Object.keys(others).length === 0 ? kind : scheduler;
}

/** Options of a technique that have a flag. */
const cfgFlags = ['scale', 'start', 'stop'];
const detailFlags = ['scale', 'layer', 'channels', 'retention', 'tokens', 'start', 'stop'];
const has = (names: readonly string[], options: unknown) =>
  Object.keys(entriesOf(options)).every((name) => names.includes(name));

/** Flags where they say it all, and otherwise the option as JSON. */
function guidanceWords({ embedded, ...guidance }: Unknowns, of: BundleInfo | null): string[] {
  const scale = flags({ 'embedded-scale': entriesOf(embedded)['scale'] });
  const { classifierFree, detail, disrupt } = guidance;
  const view = viewOf(guidance);
  const own = entriesOf(entriesOf(of?.defaults)['guidance']);
  const isPlain =
    (linkedViews as readonly string[]).includes(view) &&
    Object.keys(guidance).sort().join() === Object.keys(preset(view)).sort().join() &&
    // A preset takes the bundle's own options, and the neutral scales leave a technique out.
    [classifierFree, own['classifierFree']].every((options) => has(cfgFlags, options)) &&
    [detail, disrupt, own['detail'], own['disrupt']].every(
      (options) => !Array.isArray(options) && has(detailFlags, options),
    ) &&
    entriesOf(classifierFree)['scale'] !== 1 &&
    entriesOf(detail)['scale'] !== 0;
  if (!isPlain) return [...flags({ guidance }), ...scale];
  if (view === 'conditional') return ['--no-guidance', ...scale];
  const cfg: Unknowns = { start: 0, stop: 1, ...entriesOf(classifierFree) };
  const { start = 0, stop = 1, retention = 0, scale: w, layer, channels, tokens } = entriesOf(detail ?? disrupt);
  return [
    `--preset ${view}`,
    ...(classifierFree ? flags({ 'cfg-scale': cfg['scale'], 'cfg-start': cfg['start'], 'cfg-stop': cfg['stop'] }) : []),
    ...flags({
      'detail-scale': w,
      'detail-layer': layer,
      'detail-channels': Array.isArray(channels) ? channels.join() : channels,
      'detail-tokens': tokens,
    }),
    ...(detail ? flags({ 'detail-start': start, 'detail-stop': stop }) : []),
    ...(detail || disrupt ? flags({ retention }) : []),
    ...scale,
  ];
}
