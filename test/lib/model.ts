/** The embedded model as the planner sees it, without the addon. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { bundleSchema, type BundleManifest } from '../../lib/bundle';
import type { Site } from '../../lib/native';
import { generateSchema, type GenerateOptions } from '../../lib/request/generateOptions';
import { parse } from '../../lib/validation/parse';
import { packageRoot } from '../../lib/files/packageRoot';
import { plan, type Plan, type PlannedModel } from '../../lib/plan';

export function embeddedManifest(): BundleManifest {
  return bundleSchema.parse(JSON.parse(readFileSync(join(packageRoot(), 'models', 'embedded', 'bundle.json'), 'utf8')));
}

/** Blocks of one stream, each with one attention. */
export function plannedModel(bundle = embeddedManifest(), layers = 8): PlannedModel {
  const sites = Array.from({ length: layers }, (_, block): Site[] => [
    { path: `blocks.${block}`, tap: 'output', stream: 'image', element: 0, block, className: 'Block' },
    {
      path: `blocks.${block}.attention`,
      tap: 'attention',
      stream: null,
      element: 0,
      block: null,
      className: 'Attention',
    },
  ]).flat();
  return { bundle, sites, layers };
}

export function planWith(options: GenerateOptions, model = plannedModel()): Plan {
  return plan(parse(generateSchema, { classLabel: 0, numInferenceSteps: 4, ...options }, 'options'), model);
}

/** The error that an action throws; fails when it throws none. */
export function errorOf(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('Nothing was thrown.');
}
