/** A request as a program: for Node, for the command line, for curl. */
import type { BundleInfo, DetailOptions, ImageRequest } from '../api/types';
import { viewOf } from '../state/takeOver';

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

export function asTypeScript({ bundle, image, maskImage, preview: _preview, ...options }: ImageRequest): string {
  const files = Object.entries({ image, maskImage }).filter(([, data]) => data !== undefined);
  const all = { ...options, ...Object.fromEntries(files.map(([name]) => [name, name])) };
  const body = literal(all).replace(/\b(image|maskImage): '\1'/g, '$1');
  return [
    ...(files.length > 0 ? ["import { readFile } from 'node:fs/promises';", ''] : []),
    "import { loadPipeline } from 'detail-guidance';",
    '',
    ...files.map(([name]) => `const ${name} = await readFile('${name}.png');`),
    `const pipeline = await loadPipeline(${quoted(bundle ?? 'embedded')});`,
    `const { images } = await pipeline.generate(${body});`,
    "await images[0].save('picture.png');",
    'await pipeline.dispose();',
    '',
  ].join('\n');
}

/** For a POSIX shell. */
const shell = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function asCurl({ preview: _preview, ...request }: ImageRequest, apiBase: string, hasToken: boolean): string {
  return [
    `curl -s ${shell(`${apiBase}/v1/images`)}`,
    `-H 'Content-Type: application/json' -H 'Accept: image/png'`,
    ...(hasToken ? ['-H "Authorization: Bearer $DETAIL_GUIDANCE_TOKEN"'] : []),
    `-d ${shell(JSON.stringify(request))} > picture.png`,
  ].join(' \\\n  ');
}

/** The command line, and what it has no option for. */
export function asCli(request: ImageRequest, of: BundleInfo | null): { text: string; missing: string[] } {
  const { bundle, classLabel, prompt, negativePrompt, width, height, seed, numInferenceSteps, scheduler, strength } =
    request;
  const guidance = typeof request.guidance === 'object' ? request.guidance : {};
  const missing: string[] = [];
  const words: string[] = [];
  const add = (flag: string, value: unknown) => {
    if (value !== undefined) words.push(`--${flag} ${shell(String(value))}`);
  };
  const label = typeof classLabel === 'number' && Array.isArray(of?.classes) ? of.classes[classLabel] : classLabel;
  add('class', label);
  add('prompt', prompt);
  add('negative-prompt', negativePrompt);
  add('width', width);
  add('height', height);
  add('seed', seed);
  add('steps', numInferenceSteps);
  if (request.image !== undefined) add('image', 'image.png');
  add('strength', request.image === undefined ? undefined : strength);
  if (request.maskImage !== undefined) add('mask', 'maskImage.png');
  if (scheduler) missing.push('the sampler');
  if (Object.keys(guidance).length === 0) words.push('--no-guidance');
  else add('preset', viewOf(guidance));
  const { classifierFree, disrupt } = guidance;
  const detail = guidance.detail as DetailOptions | undefined;
  if (classifierFree) {
    add('cfg-scale', classifierFree.scale);
    add('cfg-start', classifierFree.start ?? 0);
    add('cfg-stop', classifierFree.stop ?? 1);
  }
  if (detail) {
    add('detail-scale', detail.scale);
    const layer = detail.layer === 'auto' ? of?.massiveActivations?.layer : detail.layer;
    add('detail-layer', layer);
    add('detail-channels', Array.isArray(detail.channels) ? detail.channels.join(',') : detail.channels);
    add('detail-start', detail.start ?? 0);
    add('detail-stop', detail.stop ?? 1);
    if (typeof detail.retention === 'object') missing.push('a curve of ρ');
    else add('retention', detail.retention ?? 0);
    if (detail.tokens) missing.push('tokens');
  }
  if (disrupt) {
    if (disrupt.layer !== 'auto' || disrupt.channels !== 'auto') missing.push('the layer and channels of disrupt');
    if (disrupt.tokens || disrupt.retention !== undefined) missing.push('tokens and ρ of disrupt');
  }
  return {
    text: `detail-guidance generate ${shell(bundle ?? 'embedded')} ${words.join(' ')} --out picture.png`,
    missing,
  };
}
