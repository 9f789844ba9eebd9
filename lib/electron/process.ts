/** What runs in the `utilityProcess`: the pipeline, or the server, that `startPipeline` and `startServer` ask for. */
import { loadPipeline, type Pipeline } from '../pipeline';
import type { Server } from '../server';

import { ofMain, type MainPort } from './port';
import { problemOf } from './problem';
import { answerCalls, infoOf } from './pipelineService';
import type { MainMessage, ProcessMessage, StartMessage } from './protocol';

/** Electron's `process.parentPort`, as far as it is needed. */
interface ParentPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown; ports: MainPort[] }) => void): unknown;
}

interface Engine {
  connect(port: MainPort, caller: number): void;
  dispose(): Promise<void>;
}

const parent = (process as unknown as { parentPort: ParentPort }).parentPort;
const tell = (message: ProcessMessage) => parent.postMessage(message);
let engine: Engine | null = null;

parent.on('message', ({ data, ports }) => {
  const message = data as MainMessage;
  if ('start' in message) void start(message);
  else if ('connect' in message) engine?.connect(ports[0]!, message.connect);
  else void (engine?.dispose() ?? Promise.resolve()).finally(() => process.exit());
});

async function start(message: StartMessage): Promise<void> {
  try {
    if (message.start === 'pipeline') {
      const pipeline = await loadPipeline(message.location, message.options);
      engine = ofPipeline(pipeline);
      tell({ started: infoOf(pipeline) });
    } else {
      // Not with every pipeline: the framework takes a moment to load.
      const { createServer } = await import('../server');
      const server = createServer(message.options);
      await server.load();
      engine = ofServer(server);
      tell({ started: null });
    }
  } catch (error) {
    tell({ failed: problemOf(error) });
  }
}

const ofPipeline = (pipeline: Pipeline): Engine => ({
  connect: (port, caller) => answerCalls(ofMain(port), pipeline, (progress) => tell({ progress, caller })),
  dispose: () => pipeline.dispose(),
});

function ofServer(server: Server): Engine {
  return {
    connect: (port, caller) =>
      void import('./serverService').then(({ answerRequests }) =>
        answerRequests(ofMain(port), server, (progress) => tell({ progress, caller })),
      ),
    dispose: () => server.close(0),
  };
}
