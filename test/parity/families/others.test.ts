/** Transformers that the exporter has no family for, by adapters: AuraFlow, CogView 4, FLUX.2, Hunyuan, LTX, Sana, Wan. */
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { loadPipeline } from '../../../lib';
import type { Tensor } from '../../../lib/tensor';
import { difference, expectEqual, Oracle, python, row, tolerance } from '../oracle';

const suite = python.path ? describe : describe.skip;
/** As in reference/others.py. */
const [layer, channels] = [1, [3, 17]];
const names = ['auraflow', 'cogview4', 'flux2', 'hunyuan-image', 'hunyuan-video', 'ltx-video', 'sana', 'wan'];

suite('models by adapters', () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = new Oracle();
  });
  afterAll(() => oracle.close());

  test.each(names)(
    '%s',
    async (name) => {
      const out = join(oracle.folder, name);
      const answer = await oracle.ask({ op: 'adapter', name, out });
      const pipeline = await loadPipeline(out, { device: 'cpu' });
      const { inputs } = pipeline.bundle.transformer;
      const given = Object.fromEntries(inputs.map((input) => [input.name, answer[`input.${input.name}`]!]));

      const { output } = await pipeline.forward(given);
      expectEqual(`${name} output`, output, answer['output']!);
      const idle = await pipeline.forward(given, { hooks: [{ layer }] });
      expect(idle.output.data).toEqual(output.data);
      const zero = { operation: 'zero' as const, channels };
      const hooks = [{ layer, stream: 'image', edits: [zero] }];
      expectEqual(`${name} disrupted`, (await pipeline.forward(given, { hooks })).output, answer['disrupted']!);
      expect(difference(answer['disrupted']!, answer['output']!)).toBeGreaterThan(100 * tolerance);

      // One image, whole: branches that share the blocks before the edit make what they make each on its own.
      const roles = new Set(['latent', 'timestep']);
      const conditioning = Object.fromEntries(
        inputs
          .filter(({ role }) => !roles.has(role))
          .map(({ name: key, shape }): [string, Tensor] => [
            key,
            shape[0] === 'batch' ? row(given[key]!, 0) : given[key]!,
          ]),
      );
      const options = {
        conditioning,
        seed: 1,
        numInferenceSteps: 2,
        guidance: { detail: { scale: 0.5, layer, channels, stream: 'image' } },
      };
      const shared = await pipeline.generate(options);
      expect(shared.execution.partialForward.shared).toBe(true);
      const apart = await pipeline.generate({ ...options, partialForward: false });
      expectEqual(`${name} partial forward`, shared.images[0]!.latents, apart.images[0]!.latents);
      await pipeline.dispose();
    },
    120_000,
  );
});
