// What the main process does with a pipeline and a server of its own; each line printed is one answer.
import { createHash } from 'node:crypto';
import { app } from 'electron';
import { startPipeline, startServer } from 'detail-guidance/electron';

const say = (name, value) => process.stdout.write(`${JSON.stringify({ [name]: value })}\n`);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const failure = (error) => [error.name, error.code, error.message];
const options = { classLabel: 7, seed: 7, numInferenceSteps: 4 };

async function run() {
  const pipeline = await startPipeline('embedded', { device: 'cpu' });
  say('info', pipeline.info);
  let steps = 0;
  const phases = new Set();
  const { images, evaluations } = await pipeline.generate({
    ...options,
    onStep: () => void steps++,
    onProgress: ({ phase }) => void phases.add(phase),
  });
  say('generate', { steps, phases: [...phases], evaluations, sha256: sha256(images[0].png) });
  // Larger than what is encoded on the pipeline's own thread.
  const many = await pipeline.generate({ ...options, numInferenceSteps: 1, numImages: 3 });
  say(
    'seeds',
    many.images.map(({ seed }) => seed),
  );

  const stream = pipeline.stream(options);
  let read = 0;
  let step;
  while (!(step = await stream.next()).done) read++;
  say('stream', { read, sha256: sha256(step.value.images[0].png) });
  for await (const { step: at } of pipeline.stream({ ...options, numInferenceSteps: 500 })) if (at === 2) break;
  say('left', true);

  const { plan, explanation } = await pipeline.plan(options);
  say('plan', [plan.steps.length, explanation.steps.length > 0]);

  const stop = new AbortController();
  const stopped = pipeline.generate({
    ...options,
    numInferenceSteps: 500,
    signal: stop.signal,
    onStep: () => stop.abort(),
  });
  say('aborted', await stopped.catch(failure));
  say('bad', await pipeline.generate({ classLabel: 99 }).catch(failure));
  const thrown = () => {
    throw new Error('mine');
  };
  say('callback', await pipeline.generate({ ...options, onStep: thrown }).catch(failure));
  const unclonable = { detail: { retention: () => 1 } };
  say('unclonable', await pipeline.generate({ ...options, guidance: unclonable }).catch(failure));
  say('nowhere', await startPipeline('/nowhere').catch(failure));
  say('packed', await startPipeline(new URL('./bundle', import.meta.url).pathname).catch(failure));

  // A process that dies, as when memory runs out.
  const told = new Promise((resolve) => pipeline.onEnd(resolve));
  const running = pipeline.generate({
    ...options,
    numInferenceSteps: 1000,
    onStep: ({ step: at }) =>
      at === 1 &&
      process.kill(
        app
          .getAppMetrics()
          .find(({ name, serviceName }) => (serviceName ?? name) === 'Detail Guidance' || name === 'Detail Guidance')
          .pid,
        'SIGKILL',
      ),
  });
  say('killed', (await running.catch(failure)).slice(0, 2));
  say('told', (await told).code);
  say('after', (await pipeline.generate(options).catch(failure)).slice(0, 2));
  await pipeline.dispose();

  const server = await startServer({ load: { device: 'cpu' }, logLevel: 'silent' });
  const ask = (path, init) => server.fetch(new Request(`app://any${path}`, init));
  say('ready', (await ask('/readyz')).status);
  const headers = { 'content-type': 'application/json' };
  const answer = await ask('/v1/jobs', { method: 'POST', headers, body: JSON.stringify(options) });
  const job = await answer.json();
  const events = await (await ask(job.events)).text();
  say('events', [...new Set(events.match(/^event: \w+/gm))]);
  const png = new Uint8Array(await (await ask(`/v1/jobs/${job.id}/images/0`)).arrayBuffer());
  say('served', sha256(png));
  say('foreign', (await ask('/readyz', { headers: { origin: 'https://example.org' } })).status);
  const long = await (
    await ask('/v1/jobs', { method: 'POST', headers, body: JSON.stringify({ ...options, numInferenceSteps: 250 }) })
  ).json();
  say('running', ['queued', 'running'].includes((await (await ask(`/v1/jobs/${long.id}`)).json()).state));
  await server.dispose();
  say('disposed', await ask('/readyz').then(() => 'answered', failure));
}

app
  .whenReady()
  .then(run)
  .then(
    () => app.quit(),
    (error) => {
      say('failed', failure(error));
      app.exit(1);
    },
  );
