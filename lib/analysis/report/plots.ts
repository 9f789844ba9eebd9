/** The report's plots as SVG, drawn by Observable Plot in a document of linkedom: no browser, nothing to load. */
import type * as Library from '@observablehq/plot';

import type { LayerMagnitude } from '../magnitude';
import { mean } from '../statistics';

import type { Findings } from './gather';

type Options = Library.PlotOptions;

export interface Figure {
  /** Name of its data file. */
  name: string;
  title: string;
  /** What is to be seen, and in which units. */
  caption: string;
  svg: string;
  data: unknown;
}

/** Colours are CSS variables of the page, which has two sets of them. */
const colours = ['var(--first)', 'var(--second)', 'var(--third)', 'var(--fourth)'];
const width = 960;

export class Plotter {
  private constructor(
    private readonly plot: typeof Library,
    private readonly document: unknown,
  ) {}

  /** Both are ES modules alone: loaded when they are needed, so that the CommonJS build has them too. */
  static async load(): Promise<Plotter> {
    const [plot, { parseHTML }] = await Promise.all([import('@observablehq/plot'), import('linkedom')]);
    return new Plotter(plot, parseHTML('<!doctype html><html><body></body></html>').document);
  }

  draw(options: Options, marks: Library.Markish[]): string {
    const svg = this.plot.plot({
      document: this.document,
      width,
      height: 300,
      marginLeft: 52,
      marginRight: 36,
      marginBottom: 40,
      style: { background: 'none', fontSize: '12px', fontFamily: 'inherit' },
      ...options,
      marks,
    } as Options) as unknown as { outerHTML: string };
    return svg.outerHTML;
  }

  /** Strength of the massive channels after every layer. */
  overLayers({ massive }: Findings): Figure {
    const { dot, lineY, ruleY, text } = this.plot;
    const channels = massive.layers.flatMap(({ layer, channels }) =>
      apart(
        channels.map(({ channel, strength }) => ({ layer, channel, strength })),
        Math.max(...massive.layers.flatMap((layer) => layer.strongest.strength)) / 20,
      ),
    );
    const strongest = massive.layers.map(({ layer, strongest }) => ({
      layer,
      channel: strongest.channel,
      strength: mean(strongest.strength),
    }));
    const svg = this.draw(
      {
        x: { label: 'layer', ticks: massive.layers.map(({ layer }) => layer).slice(0, 60), tickFormat: 'd' },
        y: { label: 'times the median channel', grid: true, zero: true },
      },
      [
        ruleY([massive.threshold], { stroke: 'var(--soft)', strokeDasharray: '4 3' }),
        lineY(strongest, { x: 'layer', y: 'strength', stroke: 'var(--soft)' }),
        dot(channels, { x: 'layer', y: 'strength', fill: colours[0], r: 4 }),
        text(channels, {
          x: 'layer',
          y: 'place',
          text: (point: { channel: number }) => String(point.channel),
          dx: 8,
          textAnchor: 'start',
        }),
      ],
    );
    return {
      name: 'magnitude-over-layers',
      title: 'Massive channels over the layers',
      caption: `Mean of |z| over tokens, as a multiple of the median channel's, averaged over ${massive.timesteps.length} timesteps. Every dot is a massive channel with its number; the line is the strongest channel, massive or not; dashed the threshold of ${massive.threshold}.`,
      svg,
      data: { rule: massive.rule, threshold: massive.threshold, layers: massive.layers, remarks: massive.remarks },
    };
  }

  /** Magnitude against the timestep for fixed conditions, in one layer. */
  overTimesteps({ magnitude, looked }: Findings): Figure {
    const { line, lineY } = this.plot;
    const trace = magnitude!;
    const layer = trace.layers.find((entry) => entry.layer === looked!.layer) ?? trace.layers.at(-1)!;
    const single = trace.conditions.flatMap((conditions, index) =>
      trace.timesteps.map((timestep, step) => ({ conditions, timestep, value: mean(layer.magnitude[step]![index]!) })),
    );
    const typical = trace.timesteps.map((timestep, step) => ({ timestep, value: layer.median[step]! }));
    const overall = trace.timesteps.map((timestep, step) => ({ timestep, value: mean(layer.magnitude[step]!.flat()) }));
    const svg = this.draw(
      {
        x: { label: 'timestep: noise on the left, data on the right', reverse: true },
        y: { label: 'mean of |z|', grid: true, zero: true },
      },
      [
        line(single, { x: 'timestep', y: 'value', z: 'conditions', stroke: colours[0], strokeOpacity: 0.35 }),
        lineY(overall, { x: 'timestep', y: 'value', stroke: colours[0], strokeWidth: 2.5 }),
        lineY(typical, { x: 'timestep', y: 'value', stroke: 'var(--soft)', strokeWidth: 2 }),
      ],
    );
    return {
      name: 'magnitude-over-timesteps',
      title: `Magnitude over the timesteps, layer ${layer.layer}`,
      caption: `Channels ${trace.channels.join(', ')}: thin, each of the ${trace.conditions.length} conditions (${trace.conditions.join(', ')}), over ${trace.seeds.length} seeds; thick, their mean; grey, the median channel.`,
      svg,
      data: trace,
    };
  }

  /** What explains the magnitude's variance, by layer. */
  explained({ magnitude }: Findings): Figure {
    const { barY } = this.plot;
    const names: [keyof LayerMagnitude['explained'], string][] = [
      ['timestep', 'timestep'],
      ['conditions', 'conditions'],
      ['both', 'both together'],
      ['seeds', 'seeds'],
    ];
    const shares = magnitude!.layers.flatMap(({ layer, explained }) =>
      names.map(([key, factor]) => ({ layer, factor, share: explained[key] })),
    );
    const domain = names.map(([, factor]) => factor);
    const svg = this.draw(
      {
        height: 260,
        x: { label: 'layer', type: 'band', tickFormat: 'd', padding: 0.25 },
        y: { label: 'share of the variance (%)', percent: true, grid: true },
        color: { domain, range: colours },
      },
      [barY(shares, { x: 'layer', y: 'share', fill: 'factor', order: domain })],
    );
    return {
      name: 'variance-explained',
      title: 'What sets the magnitude',
      caption:
        'η² of a two-way analysis of variance of the magnitude: timestep against conditions, with seeds as repetitions.',
      svg: legend(domain) + svg,
      data: magnitude!.layers.map(({ layer, explained }) => ({ layer, ...explained })),
    };
  }

  /** Gates of one layer against the hidden state after it, a dot a channel. */
  gateScatter({ gates, looked }: Findings): Figure {
    const { dot, text } = this.plot;
    const chosen = gates!.gates.filter(({ layer }) => layer === looked!.layer);
    const points = chosen.flatMap(({ branch, gate, activation, massive }) =>
      gate.map((alpha, channel) => ({
        branch,
        channel,
        alpha,
        z: activation[channel]!,
        massive: massive.includes(channel),
      })),
    );
    const massive = points.filter((point) => point.massive);
    const others = points.filter((point) => !point.massive);
    const svg = this.draw(
      {
        height: 330,
        fx: { label: null, domain: chosen.map(({ branch }) => branch), padding: 0.08 },
        x: { label: '|α|', grid: true, nice: true, ticks: 5 },
        y: { label: 'mean of |z|', grid: true, zero: true },
      },
      [
        dot(others, { fx: 'branch', x: 'alpha', y: 'z', r: 2.5, fill: 'var(--soft)', fillOpacity: 0.55 }),
        dot(massive, { fx: 'branch', x: 'alpha', y: 'z', r: 4.5, fill: colours[1] }),
        text(massive, {
          fx: 'branch',
          x: 'alpha',
          y: 'z',
          text: (point: { channel: number }) => String(point.channel),
          dx: 8,
          textAnchor: 'start',
        }),
      ],
    );
    const correlations = chosen.map(({ branch, correlation }) => `${branch} ${correlation.toFixed(2)}`).join(', ');
    return {
      name: 'gates-against-activations',
      title: `Residual gates against activations, layer ${looked!.layer}`,
      caption: `Every dot is a channel: |α| of the block's gates against |z| after the block, means over timesteps and conditions; massive channels are numbered. Spearman's rank correlation: ${correlations}.`,
      svg,
      data: gates,
    };
  }

  /** How many massive channels are among those with the largest gates. */
  gateOverlap({ gates }: Findings): Figure {
    const { barY, tickY } = this.plot;
    const overlaps = gates!.gates.filter(({ overlap }) => overlap !== null);
    const branches = [...new Set(overlaps.map(({ branch }) => branch))];
    const svg = this.draw(
      {
        height: 240,
        fx: { label: 'layer', tickFormat: 'd', padding: 0.15 },
        x: { axis: null, domain: branches, padding: 0.1 },
        y: { label: 'overlap (%)', percent: true, domain: [0, 100], grid: true },
        color: { domain: branches, range: colours },
      },
      [
        barY(overlaps, { fx: 'layer', x: 'branch', y: 'overlap', fill: 'branch' }),
        tickY(overlaps, { fx: 'layer', x: 'branch', y: 'chance', stroke: 'currentColor', strokeWidth: 2 }),
      ],
    );
    return {
      name: 'gate-overlap',
      title: 'Massive channels among the largest gates',
      caption:
        'Share of a layer’s massive channels that are among as many channels with the largest |α|. The tick is what channels drawn at random would give.',
      svg: legend(branches) + svg,
      data: overlaps.map(({ layer, branch, overlap, chance, ranks, correlation, massive }) => {
        return { layer, branch, massive, overlap, chance, ranks, correlation };
      }),
    };
  }

  /** The longest token after every layer. */
  tokenNorms({ tokens }: Findings): Figure {
    const { dot, lineY, ruleY } = this.plot;
    const longest = tokens.largest.map(({ layer, ratios }) => ({ layer, ratio: Math.max(...ratios) }));
    const svg = this.draw(
      {
        height: 240,
        x: { label: 'layer', ticks: longest.map(({ layer }) => layer).slice(0, 60), tickFormat: 'd' },
        y: { label: 'times the median token', grid: true, zero: true },
      },
      [
        ruleY([tokens.threshold], { stroke: 'var(--soft)', strokeDasharray: '4 3' }),
        lineY(longest, { x: 'layer', y: 'ratio', stroke: colours[2], strokeWidth: 2 }),
        dot(longest, { x: 'layer', y: 'ratio', fill: colours[2] }),
      ],
    );
    const verdict =
      tokens.tokens.length === 0
        ? tokens.remarks[0]
        : `${tokens.tokens.length} tokens, in ${new Set(tokens.tokens.map(({ conditions }) => conditions)).size} of ${tokens.conditions.length} pictures.`;
    return {
      name: 'high-norm-tokens',
      title: 'High-norm tokens',
      caption: `The norm of the longest token over the median token’s, the largest over timesteps and conditions; dashed the threshold. ${verdict ?? ''}`,
      svg,
      data: tokens,
    };
  }
}

/** Labels of one layer, moved down where the one above is closer than a line. */
function apart<Label extends { strength: number }>(labels: Label[], line: number): (Label & { place: number })[] {
  let above = Infinity;
  return labels
    .toSorted((a, b) => b.strength - a.strength)
    .map((label) => {
      above = Math.min(label.strength, above - line);
      return { ...label, place: above };
    });
}

function legend(names: readonly string[]): string {
  const entries = names.map((name, index) => `<span><i style="background:${colours[index]}"></i>${name}</span>`);
  return `<p class="legend">${entries.join('')}</p>`;
}
