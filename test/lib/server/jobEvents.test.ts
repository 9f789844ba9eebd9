/** The events of a job for those who come late, again, or from another server. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createServer, type Server } from '../../../lib/server';
import { Job } from '../../../lib/server/job';
import { imageRequestSchema } from '../../../lib/server/request';

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer({ port: 0, logLevel: 'silent' });
  url = await server.listen();
});
afterAll(() => server.close());

async function heard(job: Job, last: number): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of job.events(last)) names.push(name);
  return names;
}

test('who heard another server last hears all that this one has to tell', async () => {
  const job = new Job('embedded', imageRequestSchema.parse({}));
  job.start();
  job.finish({ images: [], plan: {} as never, evaluations: 0, seconds: 0 });
  expect(await heard(job, 57)).toEqual(['started', 'done']);
  expect(await heard(job, 1)).toEqual(['done']);
  expect(await heard(job, 2)).toEqual([]);
});

test('an EventSource that has heard the end is told not to ask again', async () => {
  const body = JSON.stringify({ classLabel: 'Sneaker', numInferenceSteps: 2 });
  const headers = { 'content-type': 'application/json' };
  const { events } = (await (await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body })).json()) as {
    events: string;
  };
  const ask = (last: string) => fetch(url + events, { headers: { 'last-event-id': last } });
  const told = await (await ask('')).text();
  const [, last] = /event: done\ndata: .*\nid: (\d+)\n\n$/.exec(told)!;
  expect((await ask(last!)).status).toBe(204);
  expect(await (await ask('0')).text()).toMatch(/event: done/);
});

test('a hundred readers of one job hear all of it, previews too', async () => {
  const body = JSON.stringify({ classLabel: 'Sneaker', numInferenceSteps: 30, preview: true });
  const headers = { 'content-type': 'application/json' };
  const { events } = (await (await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body })).json()) as {
    events: string;
  };
  const texts = await Promise.all(Array.from({ length: 100 }, async () => (await fetch(url + events)).text()));
  for (const text of texts) {
    for (const block of text.split('\n\n').filter(Boolean)) {
      expect(block).toMatch(/^event: \w+\ndata: \{.*\}\nid: \d+$/);
      JSON.parse(/^data: (.*)$/m.exec(block)![1]!);
    }
    expect(text).toMatch(/event: preview[\s\S]*event: done/);
  }
}, 60_000);
