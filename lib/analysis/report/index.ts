/** The report on a model's massive activations: one page, and the data behind each of its figures. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Pipeline } from '../../pipeline';
import { checkNewFolder, writeNewFolder, writeSynced } from '../../files/newFolder';

import { gatherFindings, type Findings, type ReportRequest } from './gather';
import { composePage } from './page';
import { Plotter, type Figure } from './plots';

export interface ReportOptions extends Partial<ReportRequest> {
  /** A folder that does not exist, in one that does. */
  out: string;
}

export interface ReportSummary {
  /** Absolute path of index.html. */
  page: string;
  /** Absolute paths of the JSON files. */
  data: string[];
  massive: Findings['massive'];
}

/**
 * Analyses a model and writes `index.html` and `data/*.json` into a new folder, which appears whole or not at all.
 *
 * @throws OUTPUT_EXISTS, OUTPUT_UNWRITABLE before anything is computed; what `findMassiveActivations`,
 *   `traceMagnitude`, `findHighNormTokens` and `generate` throw; ABORT_ERR
 */
export async function writeReport(pipeline: Pipeline, options: ReportOptions): Promise<ReportSummary> {
  const { out, seed = 0, numInferenceSteps = 10, conditions, onProgress, signal } = options;
  await checkNewFolder(out);
  const findings = await gatherFindings(pipeline, { seed, numInferenceSteps, conditions, onProgress, signal });
  const figures = await drawFigures(findings);
  const documents = [
    ...figures.map(({ name, data }) => ({ name, data })),
    ...(findings.maps.length > 0 ? [{ name: 'spatial-maps', data: mapData(findings) }] : []),
    ...(findings.interventions ? [{ name: 'interventions', data: interventionData(findings) }] : []),
    { name: 'suggested-layer', data: { suggested: findings.massive.suggested, effects: findings.massive.effects } },
  ];
  const place = await writeNewFolder(out, async (folder) => {
    await mkdir(join(folder, 'data'));
    for (const { name, data } of documents)
      await writeSynced(join(folder, 'data', `${name}.json`), `${JSON.stringify(data, plainNumbers, 1)}\n`, signal);
    await writeSynced(join(folder, 'index.html'), composePage(pipeline, findings, figures), signal);
  });
  return {
    page: join(place, 'index.html'),
    data: documents.map(({ name }) => join(place, 'data', `${name}.json`)),
    massive: findings.massive,
  };
}

async function drawFigures(findings: Findings): Promise<Figure[]> {
  const plotter = await Plotter.load();
  const { magnitude, gates, looked } = findings;
  return [
    plotter.overLayers(findings),
    ...(magnitude && looked ? [plotter.overTimesteps(findings), plotter.explained(findings)] : []),
    ...(gates && looked ? [plotter.gateScatter(findings), plotter.gateOverlap(findings)] : []),
    plotter.tokenNorms(findings),
  ];
}

function mapData({ looked, maps }: Findings) {
  return {
    layer: looked!.layer,
    rows: maps.map(({ conditions, seed, maps: entries }) => ({ conditions, seed, maps: entries })),
  };
}

function interventionData({ looked, interventions }: Findings) {
  const { conditions, seed, columns } = interventions!;
  return {
    layer: looked!.layer,
    channels: looked!.channels,
    seed,
    conditions,
    columns: columns.map(({ name, detail, guidance, pictures }) => ({
      name,
      detail,
      guidance,
      pictures: pictures.map(({ width, height, channels, pixels }) => ({ width, height, channels, pixels })),
    })),
  };
}

/** Typed arrays as lists. */
function plainNumbers(_key: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Uint8Array) : value;
}
