/** What a run records, from the options to the indices that the native side takes. */
import { checkPlace, sitesOf, type EditContext, type SiteReference } from '../guidance';
import { wrapNative } from '../validation/errors';
import { invalid } from '../validation/invalid';
import type { NativeModel, NativeRecording, Site } from '../native';
import type { ActivationRequest } from './options';
import { nearest } from '../validation/vocabulary';
import type { Plan } from '../plan';

/**
 * @throws SITE_NOT_FOUND with what is near; BAD_OPTION for a branch or a step that the plan has not, or when nothing is
 *   asked for
 */
export function recordingOf(
  request: Omit<ActivationRequest, 'generate' | 'signal'>,
  plan: Plan,
  model: Pick<NativeModel, 'find'>,
  sites: readonly Site[],
  context: EditContext,
): NativeRecording {
  const { statistics, tensors, dtype, beforeEdits } = request;
  const extras = typeof statistics === 'object' ? statistics : { tokens: false, top: 0 };
  const channels = statistics !== false;
  if (!channels && !tensors) {
    throw invalid('options', 'statistics or tensors', undefined, { shown: 'neither, which leaves nothing to record' });
  }
  return {
    sites: findSites(request.sites, model, sites, context),
    branches: findBranches(request.branches, plan),
    steps: checkSteps(request.steps, plan),
    channels,
    percentiles: 'percentiles' in extras ? (extras.percentiles ?? []) : [],
    tokens: extras.tokens,
    top: extras.top,
    attention: channels,
    tensors: tensors ? dtype : null,
    beforeEdits,
  };
}

function findSites(
  places: ActivationRequest['sites'],
  model: Pick<NativeModel, 'find'>,
  sites: readonly Site[],
  context: EditContext,
): number[] {
  const indices = places
    ? places.flatMap((place, index) => {
        const option = `options.sites[${index}]`;
        checkPlace(option, place);
        const references = sitesOf(option, { ...place, tap: place.tap ?? 'output' }, null, context);
        return references.flatMap((reference) => findSite(reference, model));
      })
    : sites.flatMap(({ block, tap }, index) => (block !== null && tap === 'output' ? [index] : []));
  return [...new Set(indices)].sort((a, b) => a - b);
}

function findSite(reference: SiteReference, model: Pick<NativeModel, 'find'>): number[] {
  try {
    return model.find(reference);
  } catch (error) {
    throw wrapNative(error);
  }
}

function findBranches(selection: ActivationRequest['branches'], { branches }: Plan): number[] {
  if (selection === 'all') return branches.map((_, index) => index);
  const names = branches.map(({ name }) => name);
  const unknown = selection.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw invalid('options.branches', nearest(unknown, names), unknown, { note: 'what this plan evaluates' });
  }
  return names.flatMap((name, index) => (selection.includes(name) ? [index] : []));
}

function checkSteps(indices: number[] | undefined, { steps }: Plan): number[] | null {
  if (!indices) return null;
  const beyond = indices.find((step) => step >= steps.length);
  if (beyond === undefined) return [...new Set(indices)].sort((a, b) => a - b);
  const expected = `steps from 0 to ${steps.length - 1}`;
  throw invalid('options.steps', expected, beyond);
}
