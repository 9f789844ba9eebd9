/** What a program may not write: every marked line has to be an error, against the packed tarball. */
import {
  loadPipeline,
  Pipeline,
  type Edit,
  type GenerateOptions,
  type GuidanceOptions,
  type Hook,
} from 'detail-guidance';

const pipeline = await loadPipeline('embedded');
// @ts-expect-error a misspelt option
await pipeline.generate({ clasLabel: 1 });
// @ts-expect-error a misspelt option of a technique
await pipeline.generate({ guidance: { detail: { chanels: [1] } } });
// @ts-expect-error a preset that does not exist
await pipeline.generate({ guidance: 'detail+slg' });
// @ts-expect-error a text for a number
const options: GenerateOptions = { numInferenceSteps: '30' };
// @ts-expect-error a sampler that does not exist
await pipeline.generate({ scheduler: { kind: 'euler' } });
// @ts-expect-error an option that no sampler has
await pipeline.generate({ scheduler: { shifts: 3 } });
// @ts-expect-error a branch without a weight
const guidance: GuidanceOptions = { branches: [{ conditioning: 'conditional' }] };
// @ts-expect-error a parameter of another operation
const zero: Edit = { operation: 'zero', layer: 1, sigma: 1 };
// @ts-expect-error match without what it matches
const match: Edit = { operation: 'match', layer: 1, channels: [1] };
// @ts-expect-error transplant without what is put there
const transplant: Edit = { operation: 'transplant', layer: 1 };
// @ts-expect-error an operation that does not exist
const erase: Edit = { operation: 'erase', layer: 1 };
// @ts-expect-error a tap that does not exist
const hook: Hook = { layer: 1, tap: 'weights' };
// @ts-expect-error a dtype that models are not loaded in
await loadPipeline('embedded', { dtype: 'int8' });
// @ts-expect-error only loadPipeline makes one
new Pipeline();
// @ts-expect-error a bundle is read, not written
pipeline.bundle = null;
// @ts-expect-error dumps need a folder
await pipeline.dumpActivations({});
void [options, guidance, zero, match, transplant, erase, hook];
