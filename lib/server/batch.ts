/** Which requests may share an evaluation of the model. */
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

/** Same bundle, size, steps, sampler and guidance; each with its own seed, prompt and class. */
export function fitsTogether(a: Job, b: Job): boolean {
  if (a.bundle !== b.bundle || !isSingle(a.request) || !isSingle(b.request)) return false;
  const present = (request: ImageRequest) => individual.filter((key) => request[key] !== undefined && key !== 'seed');
  return (
    JSON.stringify(present(a.request)) === JSON.stringify(present(b.request)) &&
    JSON.stringify(sharedPart(a.request)) === JSON.stringify(sharedPart(b.request))
  );
}

function sharedPart(request: ImageRequest): Partial<ImageRequest> {
  return Object.fromEntries(
    Object.entries(request)
      .filter(([key, value]) => !individual.includes(key as Individual) && value !== undefined)
      .sort(([first], [second]) => (first < second ? -1 : 1)),
  );
}

/** The options of one call that makes the pictures of all the jobs, in their order. */
export function joinedOptions(jobs: readonly Job[], seeds: readonly number[]): GenerateOptions {
  const first = generateOptionsOf(jobs[0]!.request);
  if (jobs.length === 1) return first;
  const lists = (['prompt', 'negativePrompt', 'classLabel'] as const)
    .filter((key) => first[key] !== undefined)
    .map((key) => [key, jobs.map(({ request }) => request[key])] as const);
  return {
    ...first,
    ...Object.fromEntries(lists),
    seed: [...seeds],
    numImages: jobs.length,
    batchSize: jobs.length,
  };
}
