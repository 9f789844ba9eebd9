/** Everything that the report shows, measured in one go: plain data, each part written as JSON beside the page. */
import { AbortError } from '../../validation/errors';
import type { GuidanceOptions } from '../../guidance';
import type { Pipeline } from '../../pipeline';
import type { GeneratedImage } from '../../call/result';
import { waitFor } from '../../model/abort';
import { toFloat32 } from '../../tensor';
import { chooseConditions, describeConditions, type Conditions } from '../conditions';
import { traceGates, type GatesTrace } from '../gates';
import { findHighNormTokens, type HighNormTokens } from '../highNormTokens';
import { traceMagnitude, type MagnitudeTrace } from '../magnitude';
import { findMassiveActivations } from '../massiveActivations';
import type { MassiveActivations } from '../massiveFindings';
import type { AnalysisProgress } from '../analysisProgress';
import { selectivity, spatialMap, type SpatialMap } from '../spatialMap';

export interface ReportRequest {
  conditions?: readonly Conditions[] | undefined;
  seed: number;
  numInferenceSteps: number;
  onProgress?: ((event: AnalysisProgress) => unknown) | undefined;
  signal?: AbortSignal | undefined;
}

/** A channel's map in one picture at one step. */
export interface MapEntry {
  channel: number;
  step: number;
  timestep: number;
  selectivity: number;
  map: SpatialMap;
}

export interface MapRow {
  conditions: string;
  seed: number;
  picture: GeneratedImage;
  maps: MapEntry[];
}

export interface InterventionColumn {
  name: string;
  /** What was done, in words. */
  detail: string;
  guidance: GuidanceOptions;
  pictures: GeneratedImage[];
}

export interface Findings {
  massive: MassiveActivations;
  /** Channels and layer that the other parts look at: those found, or those the bundle records. */
  looked: { layer: number; channels: number[]; source: 'found' | 'recorded' } | null;
  magnitude: MagnitudeTrace | null;
  /** Null, with the reason, for a model whose gates cannot be traced. */
  gates: GatesTrace | null;
  gatesMissing: string | null;
  tokens: HighNormTokens;
  maps: MapRow[];
  interventions: { conditions: string[]; seed: number; columns: InterventionColumn[] } | null;
}

/** How the time is shared out, roughly; progress need not be exact. */
const parts = { massive: 0.45, magnitude: 0.15, gates: 0.1, tokens: 0.1, maps: 0.05, interventions: 0.15 };

/** Rows of maps and of interventions. */
const mostRows = 4;

export async function gatherFindings(pipeline: Pipeline, request: ReportRequest): Promise<Findings> {
  const { bundle } = pipeline;
  const { seed, numInferenceSteps, signal } = request;
  const conditions = chooseConditions(request.conditions, bundle);
  const progress = shareProgress(request.onProgress);
  const common = { conditions, seed, numInferenceSteps, signal };

  const massive = await findMassiveActivations(pipeline, { ...common, onProgress: progress('massive') });
  const looked = chooseChannels(massive, bundle);
  const magnitude = looked
    ? await traceMagnitude(pipeline, { ...common, channels: looked.channels, onProgress: progress('magnitude') })
    : null;
  const byLayer = Object.fromEntries(
    massive.layers.map(({ layer, channels }) => [layer, channels.map(({ channel }) => channel)]),
  );
  let gates: GatesTrace | null = null;
  let gatesMissing: string | null = null;
  try {
    gates = await traceGates(pipeline, { ...common, channelsByLayer: byLayer, onProgress: progress('gates') });
  } catch (error) {
    if ((error as { code?: string }).code !== 'SITE_NOT_FOUND') throw error;
    gatesMissing = (error as Error).message;
  }
  const tokens = await findHighNormTokens(pipeline, { ...common, onProgress: progress('tokens') });
  const shown = spread(conditions, mostRows);
  const maps = looked ? await gatherMaps(pipeline, shown, looked, request, progress('maps')) : [];
  const interventions = looked ? await intervene(pipeline, shown, looked, request, progress('interventions')) : null;
  return { massive, looked, magnitude, gates, gatesMissing, tokens, maps, interventions };
}

function chooseChannels(massive: MassiveActivations, { massiveActivations }: Pipeline['bundle']): Findings['looked'] {
  if (massive.suggested) {
    const { layer, channels } = massive.suggested;
    // The layer that the bundle's guidance disrupts, when its own channels were found there: the page shows what users get.
    const recorded = massive.layers.find((entry) => entry.layer === massiveActivations?.layer);
    if (!recorded || recorded.channels.length === 0) return { layer, channels, source: 'found' };
    return { layer: recorded.layer, channels: recorded.channels.map(({ channel }) => channel), source: 'found' };
  }
  if (!massiveActivations) return null;
  return { layer: massiveActivations.layer, channels: massiveActivations.channels, source: 'recorded' };
}

/** Some of many, evenly. */
function spread<Element>(all: readonly Element[], most: number): Element[] {
  const count = Math.min(all.length, most);
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)]!);
}

function shareProgress(onProgress: ReportRequest['onProgress']) {
  let before = 0;
  return (part: keyof typeof parts) => {
    const from = before;
    before += parts[part];
    return ({ doing, fraction }: AnalysisProgress) =>
      onProgress?.({ doing, fraction: Math.min(1, from + fraction * parts[part]) });
  };
}

async function gatherMaps(
  pipeline: Pipeline,
  conditions: Conditions[],
  { layer, channels }: NonNullable<Findings['looked']>,
  { seed, numInferenceSteps, signal }: ReportRequest,
  onProgress: (event: AnalysisProgress) => unknown,
): Promise<MapRow[]> {
  const { bundle, sites } = pipeline;
  const { tokenGrid, jointAttention } = bundle.transformer;
  const { path } = sites.find((site) => site.block === layer && site.tap === 'output' && site.stream === 'image')!;
  const rows: MapRow[] = [];
  for (const [index, condition] of conditions.entries()) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    const generate = { ...condition, seed, numImages: 1, numInferenceSteps, guidance: {} };
    const { images } = await pipeline.generate({ ...generate, signal });
    const evaluations = pipeline.plan(generate).steps.length;
    const steps = [...new Set([0.1, 0.5, 0.9].map((place) => Math.floor(place * evaluations)))];
    const maps: MapEntry[] = [];
    const records = pipeline.activations({
      generate,
      sites: [{ path, stream: 'image' }],
      steps,
      statistics: false,
      tensors: true,
      signal,
    });
    for await (const { step, timestep, tensor } of records) {
      const hidden = { data: toFloat32(tensor!), shape: tensor!.shape, dtype: 'float32' as const };
      for (const channel of channels.slice(0, 3)) {
        const map = spatialMap(hidden, channel, tokenGrid, jointAttention);
        maps.push({ channel, step, timestep, selectivity: selectivity(map).selectivity, map });
      }
    }
    rows.push({ conditions: describeConditions(condition, index, bundle), seed, picture: images[0]!, maps });
    await waitFor(onProgress({ doing: 'drawing maps', fraction: (index + 1) / conditions.length }), signal);
  }
  return rows;
}

async function intervene(
  pipeline: Pipeline,
  conditions: Conditions[],
  { layer, channels }: NonNullable<Findings['looked']>,
  { seed, signal }: ReportRequest,
  onProgress: (event: AnalysisProgress) => unknown,
): Promise<Findings['interventions']> {
  const disruption = { layer, channels };
  const matched = { kind: 'matched-channels' as const, seed: 0 };
  const random = { kind: 'random-tokens' as const, share: 0.5, seed: 0 };
  const blurred = [{ operation: 'blur' as const, layer, sigma: 1 }];
  const columnOptions: Omit<InterventionColumn, 'pictures'>[] = [
    { name: 'undisturbed', detail: 'D(c)', guidance: {} },
    { name: 'MA disrupted', detail: `z[${channels.join(', ')}] := 0`, guidance: { disrupt: disruption } },
    {
      name: 'matched channels',
      detail: 'others, same ‖Δz‖₂',
      guidance: { disrupt: { ...disruption, control: matched } },
    },
    {
      name: 'random tokens',
      detail: 'same channels, half the tokens',
      guidance: { disrupt: { ...disruption, control: random } },
    },
    { name: 'blur', detail: 'hidden state, σ = 1 token', guidance: { branches: [{ edits: blurred, weight: 1 }] } },
  ];
  const columns: InterventionColumn[] = columnOptions.map((column) => ({ ...column, pictures: [] }));
  let done = 0;
  for (const condition of conditions) {
    for (const column of columns) {
      if (signal?.aborted) throw new AbortError(signal.reason);
      const { images } = await pipeline.generate({
        ...condition,
        seed,
        numImages: 1,
        guidance: column.guidance,
        signal,
      });
      column.pictures.push(images[0]!);
      const fraction = ++done / (conditions.length * columns.length);
      await waitFor(onProgress({ doing: 'intervening', fraction }), signal);
    }
  }
  const names = conditions.map((condition, index) => describeConditions(condition, index, pipeline.bundle));
  return { conditions: names, seed, columns };
}
