/** `detail-guidance inspect`: what is in a bundle, and where its transformer can be hooked. */
import { Command } from 'commander';

import { loadPipeline, type Pipeline } from '../pipeline';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { addLoadOptions, type LoadFlags } from './load';
import { table } from './table';

interface InspectFlags extends LoadFlags {
  json?: boolean;
}

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description("print a bundle's parameters, hook sites with their streams and shapes, and massive activations")
    .argument('<bundle>', "folder of a bundle, or 'embedded'");
  return addLoadOptions(command)
    .option('--json', 'print everything as one JSON document')
    .action((bundle: string, flags: InspectFlags) => interruptible((signal) => runInspect(bundle, flags, signal)));
}

async function runInspect(location: string, flags: InspectFlags, signal: AbortSignal): Promise<void> {
  const pipeline = await loadPipeline(location, { device: flags.device, dtype: flags.dtype, signal });
  try {
    const report = await describe(pipeline, signal);
    if (flags.json) printJson(report);
    else process.stdout.write(inWords(report));
  } finally {
    await pipeline.dispose();
  }
}

async function describe(pipeline: Pipeline, signal: AbortSignal) {
  const { bundle } = pipeline;
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
    layers: pipeline.size.blocks,
    containers: bundle.transformer.blocks,
    psnr: bundle.transformer.psnr ?? null,
    prediction: bundle.transformer.prediction,
    scheduler: bundle.scheduler,
    conditioning: bundle.conditioning,
    massiveActivations: bundle.massiveActivations,
    sites: pipeline.sites.map((site, index) => ({ ...site, shape: shapes[index] ?? null })),
  };
}

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
    ['prediction', `${report.prediction}, sampled by ${report.scheduler.kind}`],
    ['conditioning', conditioning.kind === 'class' ? `${conditioning.numClasses} classes` : conditioning.kind],
    [
      'massive activations',
      massive ? `layer ${massive.layer}, channels ${massive.channels.join(', ')}` : 'not recorded',
    ],
  ];
  const sites = report.sites.map(({ path, tap, stream, shape, className }) => [
    path,
    tap,
    stream ?? '-',
    shape ? `[${shape.join(', ')}]` : '-',
    className,
  ]);
  return [...table(facts), '', ...table([['site', 'tap', 'stream', 'shape', 'class'], ...sites]), ''].join('\n');
}

/** 2514000 as 2,514,000. */
function grouped(count: number): string {
  return count.toLocaleString('en-GB');
}
