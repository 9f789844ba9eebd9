/** `detail-guidance analyze`: where a model's massive activations are and what they do, as one page. */
import { Command } from 'commander';

import { writeMassiveActivations } from '../analysis';
import { checkNewFolder } from '../files/newFolder';
import { writeReport } from '../analysis/report';
import { loadPipeline } from '../pipeline';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { addLoadOptions, loadOptionsOf, type LoadFlags } from './load';
import { print } from './print';
import { startProgress } from './progressBar';
import { addPromptOptions, readPrompts, type PromptFlags } from './prompts';
import { say } from './quiet';
import { parseClass, parseWhole } from './values';

interface AnalyzeFlags extends LoadFlags, PromptFlags {
  out: string;
  bundleOut?: string;
  class?: (number | string)[];
  seed: number;
  steps: number;
  json?: boolean;
}

export function analyzeCommand(): Command {
  const command = new Command('analyze')
    .description('find the massive activations of a model and write a report: one HTML page, and its data as JSON')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .requiredOption('-o, --out <folder>', 'a folder that does not exist yet')
    .option('--bundle-out <folder>', 'also write a copy of the bundle that records what was found')
    .option(
      '-c, --class <class...>',
      'classes to look at, of a model that takes them (default: up to ten, spread over all); tensors only a program gives',
      (text, all) => [...((all as (number | string)[] | undefined) ?? []), parseClass(text)],
    )
    .option('--seed <seed>', 'first seed', parseWhole, 0)
    .option('--steps <count>', 'sampling steps of the trajectories that are looked at', parseWhole, 10);
  return addLoadOptions(addPromptOptions(command))
    .option('--json', 'print what was found and written as one JSON document')
    .action((bundle: string, flags: AnalyzeFlags) => interruptible((signal) => runAnalyze(bundle, flags, signal)));
}

async function runAnalyze(location: string, flags: AnalyzeFlags, signal: AbortSignal): Promise<void> {
  await checkNewFolder(flags.out);
  if (flags.bundleOut !== undefined) await checkNewFolder(flags.bundleOut);
  const prompts = await readPrompts(flags);
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  const progress = startProgress(100, 'percent');
  try {
    const { page, data, massive } = await writeReport(pipeline, {
      out: flags.out,
      conditions: prompts?.map((prompt) => ({ prompt })) ?? flags.class?.map((classLabel) => ({ classLabel })),
      seed: flags.seed,
      numInferenceSteps: flags.steps,
      onProgress: ({ doing, fraction }) => progress.update(Math.floor(fraction * 100), doing),
      signal,
    });
    progress.stop();
    const written =
      flags.bundleOut !== undefined && massive.suggested
        ? await writeMassiveActivations(pipeline.bundle, massive, flags.bundleOut, { signal })
        : null;
    if (flags.json) {
      const { found, suggested, stable, remarks, layers } = massive;
      const channels = layers.map((layer) => ({ layer: layer.layer, channels: layer.channels }));
      printJson({ page, data, bundle: written?.folder ?? null, found, suggested, stable, remarks, layers: channels });
    } else {
      say([page, ...(written ? [written.folder] : [])].join('\n'), process.stdout);
      // What was found, not where it lies.
      print(massive.remarks.map((remark) => `${remark}\n`).join(''));
    }
  } finally {
    progress.stop();
    await pipeline.dispose();
  }
}
