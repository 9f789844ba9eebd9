/** One addon file in every runtime that is meant to work: the same bytes as in this Node. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { buildFolder } from '../../setup/cache.cjs';
import { findRuntimes } from '../../scripts/runtimes.cjs';

import { Application, picture } from './application';

const { runtimes, reason } = findRuntimes();
if (reason) process.stderr.write(`- other runtimes: skipped, ${reason}\n`);
const suite = reason ? describe.skip : describe;

suite('other runtimes', () => {
  let application: Application;
  let expected: string;
  beforeAll(async () => {
    application = await Application.install();
    // A picture; a hook that edits; an error with its code; an abort: what the addon does with a runtime.
    await application.write(
      'app.mjs',
      `import { DetailGuidanceError, listDevices, loadPipeline } from 'detail-guidance';
       ${picture}
       console.log(listDevices().length > 0);
       const again = await loadPipeline('embedded', { device: 'cpu' });
       let steps = 0;
       await again.generate({ classLabel: 1, seed: 1, numInferenceSteps: 3, onStep: () => void steps++ });
       console.log(steps);
       const stop = new AbortController();
       const failure = await again
         .generate({ classLabel: 1, numInferenceSteps: 500, signal: stop.signal, onStep: () => stop.abort() })
         .catch((error) => error);
       console.log(failure instanceof DetailGuidanceError, failure.code);
       const bad = await again.generate({ classLabel: 99 }).catch((error) => error.code);
       console.log(bad);
       await again.dispose();
       console.log('end');`,
    );
    const here = await application.node(['app.mjs']);
    expected = here.stdout;
    expect(expected).toMatch(/^[0-9a-f]{64}\ntrue\n3\n(true|false) ABORT_ERR\nCLASS_OUT_OF_RANGE\nend\n$/);
  }, 120_000);
  afterAll(() => application?.remove());

  test.each(runtimes)(
    '$name',
    async ({ program, args }) => {
      const { code, stdout, stderr } = await application.run(program, [...args, 'app.mjs'], {
        DETAIL_GUIDANCE_BUILD: buildFolder(),
        DENO_NO_UPDATE_CHECK: '1',
      });
      expect([stdout, code]).toEqual([expected, 0]);
      expect(stderr).toBe('');
    },
    120_000,
  );
});
