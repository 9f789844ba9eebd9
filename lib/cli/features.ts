/** `detail-guidance features`: what the features of a layer are worth, in a table. */
import { Command } from 'commander';

import { compareFeatures } from '../analysis/featureComparison';
import { loadPipeline } from '../pipeline';

import { printJson } from './failure';
import { interruptible } from './interrupt';
import { addLoadOptions, loadOptionsOf, type LoadFlags } from './load';
import { print } from './print';
import { startProgress } from './progressBar';
import { table } from './table';
import { parseNumber, parseWhole } from './values';

interface FeatureFlags extends LoadFlags {
  layer?: number;
  time: number;
  imagesPerClass: number;
  ensemble: number;
  seed: number;
  json?: boolean;
}

export function featuresCommand(): Command {
  const command = new Command('features')
    .description('compare raw hidden states with DiTF and MREP features: classes and moved parts of sampled pictures')
    .argument('<bundle>', "folder of a bundle, or 'embedded'")
    .option('--layer <layer>', 'block whose output is taken (default: that of the massive activations)', parseWhole)
    .option('--time <time>', 'noise the pictures are looked at under, 0 to 1', parseNumber, 0.2)
    .option('--images-per-class <count>', 'pictures of each class', parseWhole, 10)
    .option('--ensemble <count>', 'noises that are averaged over', parseWhole, 4)
    .option('--seed <seed>', 'seed of the first picture', parseWhole, 0);
  return addLoadOptions(command)
    .option('--json', 'print the table as one JSON document')
    .action((bundle: string, flags: FeatureFlags) => interruptible((signal) => runFeatures(bundle, flags, signal)));
}

async function runFeatures(location: string, flags: FeatureFlags, signal: AbortSignal): Promise<void> {
  const pipeline = await loadPipeline(location, { ...loadOptionsOf(flags), signal });
  const progress = startProgress(5, 'parts');
  try {
    const layer = flags.layer ?? pipeline.bundle.massiveActivations?.layer ?? pipeline.size.blocks >> 1;
    const { time, imagesPerClass: perClass, ensemble, seed } = flags;
    const comparison = await compareFeatures(pipeline, {
      ...{ layer, time, perClass, ensemble, seed, signal },
      onProgress: (done, _total, doing) => progress.update(Math.floor(done), doing),
    });
    progress.stop();
    if (flags.json) return printJson({ layer, time, ...comparison });
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    const lines = table(
      [
        ['features', 'class', 'moved part', 'stayed'],
        ...comparison.rows.map((row) => [row.features, percent(row.classes), percent(row.parts), percent(row.stayed)]),
      ],
      { right: true },
    );
    const about = `layer ${layer}, t = ${time}, ${comparison.images} pictures (class by chance ${percent(comparison.chance)}), ${comparison.tokens} tokens`;
    print([...lines, about, ''].join('\n'));
  } finally {
    progress.stop();
    await pipeline.dispose();
  }
}
