/** Which requests may share an evaluation of the model. */
import type { GuidanceOptions } from '../guidance';
import type { GenerateOptions } from '../request/generateOptions';

import type { Job } from './job';
import { generateOptionsOf, type ImageRequest } from './request';

/** What may differ between requests that run as one: which picture it is, not how it is made. */
type Individual = 'seed' | 'prompt' | 'negativePrompt' | 'classLabel';
const individual: readonly Individual[] = ['seed', 'prompt', 'negativePrompt', 'classLabel'];

/** One picture of one conditioning: what a row of a batch can be. */
const isSingle = ({ prompt, negativePrompt, classLabel, numImages, seed, ...rest }: ImageRequest) =>
  (numImages ?? 1) === 1 &&
  ![prompt, negativePrompt, classLabel, seed].some(Array.isArray) &&
  rest.image === undefined &&
  rest.latents === undefined &&
  rest.conditioning === undefined &&
  !rest.preview;

/** Same bundle, size, steps, sampler and structure of guidance; each with its own seed, prompt, class and scales. */
export function fitsTogether(a: Job, b: Job): boolean {
  if (a.bundle !== b.bundle || !isSingle(a.request) || !isSingle(b.request)) return false;
  const present = (request: ImageRequest) => individual.filter((key) => request[key] !== undefined && key !== 'seed');
  return (
    JSON.stringify(present(a.request)) === JSON.stringify(present(b.request)) &&
    JSON.stringify(sharedPart(a.request)) === JSON.stringify(sharedPart(b.request))
  );
}

function sharedPart({ guidance, priority: _priority, ...request }: ImageRequest): Record<string, unknown> {
  const shared = Object.entries(request).filter(
    ([key, value]) => !individual.includes(key as Individual) && value !== undefined,
  );
  return Object.fromEntries([...shared, ['guidance', withoutScales(guidance)]].sort(([a], [b]) => (a! < b! ? -1 : 1)));
}

/** A scale that is off, 1 and 0, takes a branch away, and with it the structure. */
function withoutScales(guidance: ImageRequest['guidance']): unknown {
  if (typeof guidance !== 'object') return guidance;
  const { classifierFree, detail } = guidance;
  const entries = detail && (Array.isArray(detail) ? detail : [detail]);
  return {
    ...guidance,
    ...(classifierFree ? { classifierFree: { ...classifierFree, scale: classifierFree.scale !== 1 } } : {}),
    ...(entries ? { detail: entries.map((entry) => ({ ...entry, scale: entry.scale !== 0 })) } : {}),
  };
}

/** The options of one call that makes the pictures of all the jobs, in their order. */
export function joinedOptions(jobs: readonly Job[], seeds: readonly number[]): GenerateOptions {
  const first = generateOptionsOf(jobs[0]!.request);
  if (jobs.length === 1) return first;
  const lists = (['prompt', 'negativePrompt', 'classLabel'] as const)
    .filter((key) => first[key] !== undefined)
    .map((key) => [key, jobs.map(({ request }) => request[key])] as const);
  const { guidance, ...shared } = first;
  const guidances = jobs.map(({ request }) => request.guidance);
  const isOne = guidances.every((other) => JSON.stringify(other) === JSON.stringify(guidance));
  return {
    ...shared,
    // As it is said, where it is the same: that sum is the same to the bit.
    ...(guidance === undefined || isOne ? { guidance } : { guidancePerImage: guidances as GuidanceOptions[] }),
    ...Object.fromEntries(lists),
    seed: [...seeds],
    numImages: jobs.length,
    batchSize: jobs.length,
  };
}
