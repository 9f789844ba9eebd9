/** What is compared with what, by name: the table that the benchmark fills in. */
import { fastReuse } from '../lib/guidance';
import type { FusionKind } from '../lib/native';

import { quantisedWays, withoutGain, type QuantisedWay } from './quantised';
import { blocksBefore, partialForwardFloor } from './statistics';

export type Precision = 'float32' | 'bfloat16' | 'float16';

/** A whole image by our sampler. */
export interface OwnSampling {
  side: 'own';
  task: 'sample';
  /** Share of the blocks before the disruption; null: classifier-free guidance alone. */
  depth: number | null;
  precision: Precision;
  /** The detail-deficient branch is computed in every n-th step. */
  reuse?: number;
  /** Default: those of the run. */
  steps?: number;
  /** With statistics of every block, for every branch, at every step. */
  statistics?: boolean;
  /** Pictures, evaluated together. Default 1. */
  images?: number;
  /** Sides of the picture over the model's default ones. */
  scale?: number;
  /** Chains of this kind are left as separate operators. */
  unfused?: FusionKind;
  /** CUDA graphs are off. */
  unrecorded?: boolean;
  /** The weights of the blocks wait in host memory. */
  offloaded?: boolean;
  /** Linear layers in 8 bits, one of quantised.ts's ways. */
  quantized?: QuantisedWay;
}

/** One evaluation of the model by us, without hooks or with a hook at every block that does nothing. */
export interface OwnForward {
  side: 'own';
  task: 'forward';
  hooks: boolean;
  precision: Precision;
}

/** A whole image by PyTorch in Python (peer/serve.py). */
export interface PeerSampling {
  side: 'peer';
  /**
   * `eager`: a forward hook; the others through torch.compile, `reduce-overhead` with its CUDA graphs. All but the cut
   * ones evaluate three rows.
   */
  mode: PeerMode;
  depth: number;
  precision: Precision;
}

export type PeerMode =
  'eager' | 'compiled' | 'compiled-cut' | 'compiled-reduce-overhead' | 'compiled-cut-reduce-overhead';

export type Work = OwnSampling | OwnForward | PeerSampling;

export interface Comparison {
  name: string;
  /** The ratio is that of their seconds. */
  numerator: Work;
  denominator: Work;
  /** The least that is possible. */
  floor?: number;
  /** What is wanted of the ratio; without one it is there to be read. */
  goal?: { atMost: number } | { atLeast: number };
  /** Times a round: more for what is short and has to be known closely. */
  repeats: number;
}

/** What decides which comparisons there are. */
export interface Circumstances {
  blocks: number;
  /** Of the model, as `--size` names it. */
  size: string;
  precision: Precision;
  /** Why a comparison of bfloat16 would say nothing here, or null. */
  withoutBfloat16: string | null;
  /** Why layers that are quantised in a way are not compared. */
  withoutQuantised: Partial<Record<QuantisedWay, string | null>>;
  device: string;
  /** The kinds of chains that are fused. */
  fused: FusionKind[];
  /** Whether the model takes other sizes of picture. */
  resizable: boolean;
}

export const depths = [0.25, 0.5, 0.75] as const;

/** That of the preset `detail+cfg-fast`. An image as long as the embedded model's default: the first and the last step are never reused, so length counts. */
export const reuseSetting = { reuse: fastReuse, steps: 30 };

/** Share of the steps in which the branch is computed: every n-th from the first, and the last. */
export function reuseShare({ reuse, steps }: typeof reuseSetting): number {
  const computed = Math.ceil(steps / reuse);
  return (computed + ((steps - 1) % reuse === 0 ? 0 : 1)) / steps;
}

/** All comparisons, and the names of those that are left out, each with its reason. */
export function comparisons(circumstances: Circumstances): {
  chosen: Comparison[];
  leftOut: { name: string; reason: string }[];
} {
  const { blocks, size, device, precision, withoutBfloat16, withoutQuantised } = circumstances;
  const plain = ownSampling(null, precision);
  const all: (Comparison & { reason?: string | null })[] = [
    ...depths.map((depth): Comparison => {
      const floor = partialForwardFloor(blocksBefore(depth, blocks), blocks);
      return {
        name: `detail-over-cfg@${depth}`,
        numerator: ownSampling(depth, precision),
        denominator: plain,
        floor,
        goal: { atMost: 1.05 * floor },
        repeats: 1,
      };
    }),
    ...againstPython(precision, '', circumstances),
    ...(precision === 'bfloat16' ? [] : againstPython('bfloat16', '-bf16', circumstances)).map((comparison) => ({
      ...comparison,
      reason: withoutBfloat16,
    })),
    {
      name: 'fp32-over-bf16',
      numerator: ownSampling(0.5, 'float32'),
      denominator: ownSampling(0.5, 'bfloat16'),
      goal: { atLeast: 2.0 },
      repeats: 1,
      reason: withoutBfloat16,
    },
    ...quantisedWays.map((quantized) => ({
      name: `bf16-over-${quantized}@0.5`,
      numerator: ownSampling(0.5, 'bfloat16'),
      denominator: { ...ownSampling(0.5, 'bfloat16'), quantized },
      ...(device === 'cpu' && quantized.startsWith('int8') ? { goal: { atLeast: 1.5 } } : {}),
      repeats: 1,
      reason: withoutBfloat16 ?? withoutGain(quantized, device, size) ?? withoutQuantised[quantized] ?? null,
    })),
    {
      name: 'reuse-over-cfg',
      numerator: { ...ownSampling(0.5, precision), ...reuseSetting },
      denominator: { ...plain, steps: reuseSetting.steps },
      floor: 1 + (partialForwardFloor(blocksBefore(0.5, blocks), blocks) - 1) * reuseShare(reuseSetting),
      goal: { atMost: 1.1 },
      repeats: 1,
    },
    {
      name: 'statistics-overhead',
      numerator: { ...ownSampling(0.5, precision), statistics: true },
      denominator: ownSampling(0.5, precision),
      goal: { atMost: 1.05 },
      repeats: 1,
    },
    {
      name: 'idle-hooks',
      numerator: { side: 'own', task: 'forward', hooks: true, precision },
      denominator: { side: 'own', task: 'forward', hooks: false, precision },
      goal: { atMost: 1.005 },
      repeats: 8,
    },
    ...costs(circumstances),
    ...gains(circumstances),
  ];
  return {
    chosen: all.filter(({ reason }) => !reason),
    leftOut: all.flatMap(({ name, reason }) => (reason ? [{ name, reason }] : [])),
  };
}

/** What more pictures at once, other sizes and blocks that wait in host memory cost. On a CPU pictures are best made one by one. */
function costs({ precision, device, resizable }: Circumstances): (Comparison & { reason?: string | null })[] {
  const one = ownSampling(0.5, precision);
  const onCpu = device === 'cpu' ? 'pictures at once are for a GPU' : null;
  return [
    ...[2, 4, 8].map((images) => ({
      name: `images-${images}-over-1`,
      numerator: { ...one, images },
      denominator: one,
      goal: { atMost: images },
      repeats: 1,
      reason: onCpu,
    })),
    {
      name: 'offloaded-over-ours',
      numerator: { ...one, offloaded: true },
      denominator: one,
      repeats: 1,
      reason: device === 'cpu' ? 'on a CPU weights are in host memory' : null,
    },
    ...[0.5, 0.75].map((scale) => ({
      name: `scale-${scale}-over-1`,
      numerator: { ...one, scale },
      denominator: one,
      repeats: 1,
      reason: resizable ? null : 'this model has one size',
    })),
  ];
}

/** What each thing that is there for speed alone brings: without it over with it. */
function gains({ precision, device, fused }: Circumstances): Comparison[] {
  const denominator = ownSampling(0.5, precision);
  const gain = (name: string, without: Partial<OwnSampling>): Comparison => ({
    name,
    numerator: { ...denominator, ...without },
    denominator,
    goal: { atLeast: 1 },
    repeats: 1,
  });
  return [
    ...fused.map((kind) => gain(`unfused-${kind}-over-ours`, { unfused: kind })),
    ...(device === 'cpu' ? [] : [gain('unrecorded-over-ours', { unrecorded: true })]),
  ];
}

function ownSampling(depth: number | null, precision: Precision): OwnSampling {
  return { side: 'own', task: 'sample', depth, precision };
}

const peerNames: Record<PeerMode, string> = {
  eager: 'python-eager',
  compiled: 'torch-compile',
  'compiled-cut': 'torch-compile-cut',
  'compiled-reduce-overhead': 'torch-compile-reduce-overhead',
  'compiled-cut-reduce-overhead': 'torch-compile-cut-reduce-overhead',
};

/** What is wanted of each peer's time over ours, null: nothing; CUDA graphs exist on CUDA alone. */
const peerGoals: Record<'cpu' | 'cuda', Partial<Record<PeerMode, number | null>>> = {
  cpu: { eager: 1.6, compiled: 1.25, 'compiled-cut': 1.05 },
  cuda: {
    eager: null,
    compiled: 1.2,
    'compiled-cut': 1.0,
    'compiled-reduce-overhead': 1.2,
    'compiled-cut-reduce-overhead': 1.0,
  },
};

/** The larger the model, the less of its time is anything but matrix products. */
const eagerGoals: Record<string, number> = { 'dit-xl-2': 2, 'sd3-medium': 1.3 };

function againstPython(precision: Precision, suffix: string, { device, size }: Circumstances): Comparison[] {
  const onCuda = device.startsWith('cuda');
  const goals = { ...peerGoals[onCuda ? 'cuda' : 'cpu'], ...(onCuda ? { eager: eagerGoals[size] ?? null } : {}) };
  return (Object.entries(goals) as [PeerMode, number | null][])
    .filter(([mode]) => suffix === '' || mode !== 'eager')
    .map(([mode, goal]) => ({
      name: `${peerNames[mode]}-over-ours@0.5${suffix}`,
      numerator: { side: 'peer', mode, depth: 0.5, precision },
      denominator: ownSampling(0.5, precision),
      ...(goal === null ? {} : { goal: { atLeast: goal } }),
      repeats: 1,
    }));
}

/** One name for one piece of work, so that what several comparisons need is timed once. */
export function workName(work: Work): string {
  if (work.side === 'peer') return `Python ${work.mode} @${work.depth} ${work.precision}`;
  if (work.task === 'forward') return `forward${work.hooks ? ' with idle hooks' : ''} ${work.precision}`;
  const name = `${work.depth === null ? 'CFG' : `CFG + DG @${work.depth}`} ${work.precision}`;
  const further = [
    work.reuse ? `reuse ${work.reuse}` : '',
    work.steps ? `${work.steps} steps` : '',
    work.statistics ? 'with statistics' : '',
    work.images ? `${work.images} images` : '',
    work.scale ? `scale ${work.scale}` : '',
    work.unfused ? `without fused ${work.unfused}` : '',
    work.unrecorded ? 'without CUDA graphs' : '',
    work.offloaded ? 'with blocks that wait' : '',
    work.quantized ?? '',
  ];
  return [name, ...further].filter(Boolean).join(' ');
}

/**
 * Comparisons whose name contains one of the comma-separated parts, or matches it where it has a `*`; without those of
 * a part that begins with `!`.
 */
export function selectNames<Named extends { name: string }>(all: readonly Named[], only: string | undefined): Named[] {
  const parts = (only ?? '*').split(',').map((part) => part.trim());
  const without = parts.filter((part) => part.startsWith('!')).map((part) => patternOf(part.slice(1)));
  const including = parts.filter((part) => !part.startsWith('!')).map(patternOf);
  return all.filter(
    ({ name }) =>
      (including.length === 0 || including.some((pattern) => pattern.test(name))) &&
      !without.some((pattern) => pattern.test(name)),
  );
}

function patternOf(part: string): RegExp {
  const escaped = part.split('*').map(escapeExpression);
  return part.includes('*') ? new RegExp(`^${escaped.join('.*')}$`) : new RegExp(escaped[0]!);
}

const escapeExpression = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
