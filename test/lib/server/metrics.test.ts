/** What Prometheus reads of jobs, however they end. */
import { expect, test } from '@jest/globals';

import { createServer } from '../../../lib/server';

test('a job that is cancelled before its turn counts, and what comes before the first step is none', async () => {
  const server = createServer({ port: 0, logLevel: 'silent' });
  const url = await server.listen();
  const submit = async (numInferenceSteps: number) => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const body = JSON.stringify({ classLabel: 'Coat', numInferenceSteps });
    return ((await (await fetch(`${url}/v1/jobs`, { ...init, body })).json()) as { id: string }).id;
  };
  const ended = async (id: string) => (await fetch(`${url}/v1/jobs/${id}/events`)).text();
  const first = await submit(60);
  const second = await submit(2);
  await fetch(`${url}/v1/jobs/${second}`, { method: 'DELETE' });
  expect(await ended(second)).toMatch(/^event: cancelled$/m);
  await ended(first);
  const numbers = await (await fetch(`${url}/metrics`)).text();
  expect(numbers).toMatch(/jobs_total\{state="cancelled"\} 1$/m);
  expect(numbers).toMatch(/jobs_total\{state="done"\} 1$/m);
  expect(numbers).toMatch(/step_seconds_count\{bundle="embedded"\} 59$/m);
  await server.close();
}, 60_000);
