/** Records what was found in a copy of the bundle, so that `channels: 'auto'` and `layer: 'auto'` mean it. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { openBundle, type Bundle } from '../bundle';
import { guidanceSchema } from '../guidance';
import { AbortError } from '../validation/errors';
import { checkObject, invalid } from '../validation/invalid';
import { parse } from '../validation/parse';

import type { MassiveActivations } from './massiveFindings';
import { writeNewFolder, writeSynced } from '../files/newFolder';

/** Of the statistics in the copy, as in the embedded bundle. */
const statisticsFile = 'massive-activations.json';

/** A manifest as it is on disk, with keys that the library does not know. */
interface Manifest extends Record<string, unknown> {
  files: Record<string, { sha256: string; bytes: number }>;
  defaults?: { guidance?: Record<string, unknown> };
}

/**
 * Writes a copy of a bundle with what `findMassiveActivations` found: `massiveActivations` in its `bundle.json` and
 * the measurements beside it. The folder appears whole or not at all, and is opened once, so that its checksums are
 * known to be right. A layer or channels that the bundle's default guidance names become 'auto'.
 *
 * @param out a folder that does not exist, in one that does
 * @throws BAD_OPTION when nothing was found; BUNDLE_INVALID for default guidance that is none; OUTPUT_EXISTS;
 *   OUTPUT_UNWRITABLE; ABORT_ERR
 */
export async function writeMassiveActivations(
  bundle: Bundle,
  finding: MassiveActivations,
  out: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<Bundle> {
  checkObject(bundle, 'bundle', 'a bundle, as a pipeline has it');
  checkObject(finding, 'finding', 'what findMassiveActivations gives');
  if (!finding.suggested) {
    throw invalid('The finding', 'massive activations to write', undefined, { note: finding.remarks[0] });
  }
  const place = await writeNewFolder(out, async (folder) => {
    await copyFiles(bundle, folder, signal);
    await writeManifest(bundle, finding, folder);
  });
  return openBundle(place, signal);
}

async function copyFiles(bundle: Bundle, folder: string, signal: AbortSignal | undefined): Promise<void> {
  for (const file of Object.keys(bundle.files)) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    if (file === statisticsFile) continue;
    const target = join(folder, file);
    await mkdir(dirname(target), { recursive: true });
    // A clone where the file system can: a transformer has gigabytes.
    await copyFile(bundle.path(file), target, constants.COPYFILE_FICLONE);
  }
}

async function writeManifest(bundle: Bundle, finding: MassiveActivations, folder: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(bundle.folder, 'bundle.json'), 'utf8')) as Manifest;
  const statistics = Buffer.from(`${JSON.stringify(statisticsOf(finding), null, 1)}\n`);
  const { layer, channels } = finding.suggested!;
  const guidance = manifest.defaults?.guidance && forgetPlaces(manifest.defaults.guidance);
  parse(guidanceSchema, guidance ?? {}, 'bundle.json.defaults.guidance', 'BUNDLE_INVALID');
  const changed = {
    ...manifest,
    massiveActivations: {
      stream: finding.stream,
      layer,
      channels,
      rule: finding.rule,
      source: 'measured',
      statistics: statisticsFile,
    },
    ...(guidance ? { defaults: { ...manifest.defaults, guidance } } : {}),
    files: {
      ...manifest.files,
      [statisticsFile]: {
        sha256: createHash('sha256').update(statistics).digest('hex'),
        bytes: statistics.length,
      },
    },
  };
  await writeSynced(join(folder, statisticsFile), statistics);
  await writeSynced(join(folder, 'bundle.json'), Buffer.from(`${JSON.stringify(changed, null, 2)}\n`));
}

/** Layer and channels that were right for the old entry say nothing about the new one. */
function forgetPlaces(guidance: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(guidance).map(([technique, options]) => {
      if ((technique !== 'detail' && technique !== 'disrupt') || typeof options !== 'object' || options === null)
        return [technique, options];
      return [technique, Array.isArray(options) ? options.map(withoutPlaces) : withoutPlaces(options)];
    }),
  );
}

function withoutPlaces(options: object): object {
  const places = Object.keys(options).filter((key) => key === 'layer' || key === 'channels');
  return { ...options, ...Object.fromEntries(places.map((key) => [key, 'auto'])) };
}

/** The form of models/massive_activations.py, which lib/bundle/ranking.ts reads. */
function statisticsOf(finding: MassiveActivations) {
  const digits = (value: number) => Number(value.toPrecision(4));
  return {
    rule: finding.rule,
    threshold: finding.threshold,
    stream: finding.stream,
    timesteps: finding.timesteps,
    conditions: finding.conditions,
    seeds: finding.seeds,
    remarks: finding.remarks,
    effects: finding.effects,
    blocks: finding.layers.map(({ layer, channels, stability, strongest, channelMeans }) => ({
      layer,
      channels: channels.map(({ channel }) => channel),
      stability,
      strongest: { channel: strongest.channel, strength: strongest.strength.map(digits) },
      channelMeans: channelMeans.map((at) => at.map(digits)),
    })),
  };
}
