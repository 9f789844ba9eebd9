'use strict';
// The server that is measured, in a process of its own: node bench/server/child.cjs DIST OPTIONS (JSON of createServer).
// Says its address, then answers one question at a time over the IPC channel: { ask } gets { ask, answer }.

const fs = require('node:fs');
const path = require('node:path');
const { monitorEventLoopDelay, performance } = require('node:perf_hooks');

const [dist, options] = process.argv.slice(2);
const { createServer } = require(path.join(dist, 'server.cjs'));
const { loadPipeline } = require(path.join(dist, 'index.cjs'));

/** In milliseconds: how often the loop is looked at, which is part of what is seen. */
const resolution = 1;
const loop = monitorEventLoopDelay({ resolution });

/** Milliseconds that a processor has worked for this thread; NaN where the system does not say. */
function processorTime() {
  try {
    return Number(fs.readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
  } catch {
    return NaN;
  }
}

/** @type {NodeJS.Timeout | undefined} */
let looking;
let busiest = 0;

/** @type {Record<string, (request: any) => unknown>} */
const answers = {
  watchLoop: () => {
    loop.reset();
    loop.enable();
    busiest = 0;
    let last = processorTime();
    looking = setInterval(() => {
      const now = processorTime();
      busiest = Math.max(busiest, now - last);
      last = now;
    }, resolution);
  },
  /** Milliseconds between two looks at the loop, at most: of work, and of waiting for a processor. */
  loopMax: () => {
    loop.disable();
    clearInterval(looking);
    return loop.max / 1e6;
  },
  /** Milliseconds of work between two looks, at most; null where the system does not say. */
  loopBusy: () => (Number.isNaN(busiest) ? null : busiest),
  /** Seconds of all threads so far. */
  processor: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  /** Bytes that stay after a collection. */
  resident: () => {
    globalThis.gc?.();
    return process.memoryUsage.rss();
  },
  /** Seconds that the same picture takes without a server. */
  async native(/** @type {{ bundle: string, request: object }} */ { bundle, request }) {
    pipeline ??= await loadPipeline(bundle, { device: 'cpu' });
    const started = performance.now();
    const { images } = await pipeline.generate(request);
    for (const image of images) await image.toPngAside();
    return (performance.now() - started) / 1000;
  },
};

/** @type {any} */
let pipeline;

const server = createServer(JSON.parse(options));
process.on('message', async (/** @type {{ ask: string, request?: unknown }} */ { ask, request }) => {
  if (ask !== 'close') {
    process.send({ ask, answer: (await answers[ask](request)) ?? null });
    return;
  }
  await server.close();
  await pipeline?.dispose();
  process.disconnect();
});
server.listen().then(
  (url) => process.send({ ask: 'listen', answer: url }),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
