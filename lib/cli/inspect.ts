/** `detail-guidance inspect`: what is in a bundle, and where its transformer can be hooked. */
import { Command } from 'commander';

import { opened, type BundleManifest } from '../bundle';
import type { ExpectedMemory } from '../model/expectedMemory';
import { partSizes } from '../model/memory';
import { loadPipeline, type Pipeline } from '../pipeline';
import { pictureSize } from '../request/pictureSize';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { addLoadOptions, loadOptionsOf, type LoadFlags } from './load';
import { print } from './print';
import { parseWhole } from './values';
import { table } from './table';

interface InspectFlags extends LoadFlags {
  width?: number;
  height?: number;
  json?: boolean;
}

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description("print a bundle's parameters, hook sites with their streams and shapes, and massive activations")
    .argument('<bundle>', "folder of a bundle, or 'embedded'");
  return addLoadOptions(command)
    .option('--width <pixels>', 'of the pictures whose memory is told', parseWhole)
    .option('--height <pixels>', 'of the pictures whose memory is told', parseWhole)
    .option('--json', 'print everything as one JSON document')
    .action((bundle: string, flags: InspectFlags) => interruptible((signal) => runInspect(bundle, flags, signal)));
}

async function runInspect(location: string, flags: InspectFlags, signal: AbortSignal): Promise<void> {
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  try {
    const report = await describe(pipeline, flags, signal);
    if (flags.json) printJson(report);
    else print(inWords(report));
  } finally {
    await pipeline.dispose();
  }
}

async function describe(pipeline: Pipeline, { width, height }: InspectFlags, signal: AbortSignal) {
  const bundle = opened(pipeline.bundle);
  const dtype = pipeline.dtype as 'float32' | 'float16' | 'bfloat16';
  const size = pictureSize({ width, height }, bundle);
  const shapes = await pipeline.shapes(signal);
  return {
    name: bundle.name,
    family: bundle.family,
    licence: bundle.licence,
    description: bundle.description,
    folder: bundle.folder,
    files: bundle.files,
    device: pipeline.device,
    dtype: pipeline.dtype,
    parameters: pipeline.size.parameters,
    bytes: pipeline.size.bytes,
    parts: partSizes(bundle, dtype),
    memory: {
      width: size.width,
      height: size.height,
      activations: Object.fromEntries(
        Object.entries(branchCounts).map(([guidance, rows]) => [
          guidance,
          pipeline.expectedMemory({ width, height, rows }).activations,
        ]),
      ),
      expected: loadings(bundle).map((loading) => ({
        ...loading,
        ...pipeline.expectedMemory({ width, height, ...loading }),
      })),
    },
    layers: pipeline.size.blocks,
    containers: bundle.transformer.blocks,
    psnr: bundle.transformer.psnr ?? null,
    fused: pipeline.fused,
    quantized: pipeline.quantized,
    prediction: bundle.transformer.prediction,
    scheduler: bundle.scheduler,
    conditioning: bundle.conditioning,
    massiveActivations: bundle.massiveActivations,
    sites: pipeline.sites.map((site, index) => ({ ...site, shape: shapes[index] ?? null })),
  };
}

/** Every way to load a bundle that memory depends on; weights that are stored in 8 bits stay so. */
function loadings({ transformer }: Pick<BundleManifest, 'transformer'>) {
  const stored = transformer.quantized?.weights;
  const precisions = stored === undefined ? ([null, 'int8', 'fp8'] as const) : [stored];
  return (['float32', 'bfloat16', 'float16'] as const).flatMap((dtype) =>
    precisions.flatMap((quantize) => ([null, 'blocks'] as const).map((offload) => ({ dtype, quantize, offload }))),
  );
}

/** Branches that are evaluated together, by the guidance. */
const branchCounts = { conditional: 1, cfg: 2, 'detail+cfg': 3 } as const;

type Report = Awaited<ReturnType<typeof describe>>;

function inWords(report: Report): string {
  const { massiveActivations: massive, conditioning } = report;
  const facts: [string, string][] = [
    ['model', `${report.name} (${report.family}, ${report.licence})`],
    ['folder', report.folder],
    [
      'size',
      `${grouped(report.parameters)} parameters, ${grouped(report.bytes)} bytes as ${report.dtype} on ${report.device}`,
    ],
    ...report.parts.map(({ part, bytes }): [string, string] => [`  ${part}`, `${grouped(bytes)} bytes of weights`]),
    ['activations', activationsInWords(report.memory)],
    [
      'blocks',
      `${report.layers}: ${report.containers.map(({ path, streams }) => `${path} (${streams.join(', ')})`).join('; ')}`,
    ],
    [
      '16 bits',
      Object.entries(report.psnr ?? {})
        .map(([dtype, decibels]) => `${dtype} ${decibels} dB PSNR to float32`)
        .join(', ') || 'not measured',
    ],
    ['fused', report.fused.map(({ kind, count }) => `${kind} × ${count}`).join(', ') || 'nothing'],
    ...(report.quantized ? [['8 bits', quantizedInWords(report.quantized)] as [string, string]] : []),
    ['prediction', `${report.prediction}, sampled by ${report.scheduler.kind}`],
    ['conditioning', conditioning.kind === 'class' ? `${conditioning.numClasses} classes` : conditioning.kind],
    [
      'massive activations',
      massive ? `layer ${massive.layer}, channels ${massive.channels.join(', ')}` : 'not recorded',
    ],
  ];
  const sites = report.sites.map(({ path, tap, stream, element, shape, className }) => [
    path,
    tap,
    stream ?? '-',
    String(element),
    shape ? `[${shape.join(', ')}]` : '-',
    className,
  ]);
  return [
    ...table(facts),
    '',
    ...memoryTable(report.memory),
    '',
    ...table([['site', 'tap', 'stream', 'element', 'shape', 'class'], ...sites]),
    '',
  ].join('\n');
}

function quantizedInWords(report: NonNullable<Report['quantized']>): string {
  const { weights, activations, product, layers, kept } = report;
  const how = `${weights}, activations ${activations === 'none' ? 'in the dtype' : activations} (${product})`;
  const channels = [...new Set(layers.flatMap((layer) => layer.channels))].sort((a, b) => a - b);
  const inFloat = channels.length > 0 ? `; channels ${channels.join(', ')} in float32` : '';
  return `${layers.length} linear layers: ${how}${inFloat}${kept.length > 0 ? `; ${kept.length} layers kept` : ''}`;
}

/** 2514000 as 2,514,000. */
function grouped(count: number): string {
  return count.toLocaleString('en-GB');
}

/** For one picture at a time. */
function activationsInWords({ width, height, activations }: Report['memory']): string {
  const sizes = Object.entries(activations).map(([guidance, bytes]) => `${grouped(bytes)} bytes with ${guidance}`);
  return `at ${width} x ${height}: ${sizes.join(', ')}`;
}

/** What a picture by CFG and Detail Guidance is expected to take, beside the process; int8 and fp8 take the same. */
function memoryTable({ expected }: Report['memory']): string[] {
  const rows = expected
    .filter(({ quantize }) => quantize !== 'fp8')
    .map(({ dtype, quantize, offload, ...memory }) => [
      `${dtype}${quantize ? ', int8 or fp8' : ''}${offload ? ', --offload blocks' : ''}`,
      ...memoryColumns.map((column) => grouped(memory[column])),
    ]);
  return table([
    ['expected memory in bytes', 'transformer', 'text encoders', 'VAE', 'activations', 'all', 'on the host'],
    ...rows,
  ]);
}

const memoryColumns = [
  'transformer',
  'textEncoders',
  'vae',
  'activations',
  'total',
  'host',
] as const satisfies readonly (keyof ExpectedMemory)[];
