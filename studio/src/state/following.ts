/** One picture at the server: it is asked for, watched, and fetched. */
import { cancelJob, getHealth, getJob, getPicture, postJob, Refused, Unreachable } from '../api/client';
import { jobEvents } from '../api/events';
import { pause } from '../api/pause';
import type { ImageRequest } from '../api/types';

import { Pace } from './pace';
import { previews } from './previews';
import { runs, update, type Run } from './runs';
import { Turns } from './turns';

/**
 * Jobs that are listened to at a time, those first that were taken first: a browser has six connections to a server, which all
 * of its tabs share. What a job said before is heard then.
 */
const listening = new Turns(2);

const cancelled = { code: 'CANCELLED', message: 'The server stopped it. Make it again.' };

const isWatchedByStep = (place: string) => place.startsWith('inside/');

/** Until it has ended, or is stopped. @returns whether its picture is there */
export async function follow({ place, request, job: taken }: Run, signalOfRun: AbortSignal): Promise<boolean> {
  const news = new Pace<Run>((part) => {
    if (!signalOfRun.aborted) update(place, part);
  });
  const tell = (part: Partial<Run>) => news.tell(part);
  try {
    const job = taken ?? (await submit(place, request, signalOfRun));
    if (signalOfRun.aborted) {
      if (job) await cancelJob(job).catch(() => undefined);
      return false;
    }
    if (!job) return false;
    tell({ job, state: 'queued' });
    return (await listening.take(signalOfRun, () => listen({ place, request }, job, news, signalOfRun))) ?? false;
  } catch (error) {
    tell({ state: 'failed', problem: sentenceOf(error) });
    return false;
  }
}

async function submit(place: string, request: ImageRequest, signalOfRun: AbortSignal): Promise<string | null> {
  // What is looked at step by step later has one of every step.
  const preview = isWatchedByStep(place) || previews.value;
  while (!signalOfRun.aborted) {
    try {
      return (await postJob({ ...request, preview })).id;
    } catch (error) {
      // Others fill the queue: it is tried again, as the server says.
      if (!(error instanceof Refused) || error.status !== 429) throw error;
      await pause(1000 * (error.retryAfter ?? 2), signalOfRun);
    }
  }
  return null;
}

/** @returns whether its picture is there */
async function listen(
  { place, request }: Pick<Run, 'place' | 'request'>,
  job: string,
  news: Pace<Run>,
  signalOfRun: AbortSignal,
): Promise<boolean> {
  const known = () => ({ ...runs.value[place], ...news.latest });
  for await (const event of jobEvents(job, signalOfRun)) {
    switch (event.name) {
      case 'started':
        news.tell({ state: 'running' });
        break;
      case 'step': {
        const { step, steps } = event.data;
        const first = known().since ? {} : { since: performance.now(), sinceStep: step };
        news.tellSoon({ state: 'running', step, steps, ...first });
        break;
      }
      case 'preview': {
        const { step, png, width, height } = event.data;
        const picture = `data:image/png;base64,${png}`;
        const frames = [...(known().frames ?? [])];
        if (isWatchedByStep(place)) frames[step - 1] = picture;
        news.tellSoon({ picture, pictureOf: request, width, height, frames });
        break;
      }
      case 'warning':
        news.tell({ warnings: [...(runs.value[place]?.warnings ?? []), event.data.message] });
        break;
      case 'done':
        news.tell({ ...(await result(job)), pictureOf: request });
        return true;
      case 'failed':
      case 'cancelled':
        // Cancelled not by this page, which does not listen any more to what it stopped.
        news.tell({ state: 'failed', problem: event.name === 'failed' ? event.data : cancelled });
        // A server that ends does so first: whether it is still there is seen by asking.
        void pause(1500, signalOfRun)
          .then(getHealth)
          .catch(() => undefined);
        break;
    }
  }
  return false;
}

async function result(job: string): Promise<Partial<Run>> {
  const { images, plan, evaluations, seconds } = await getJob(job);
  const [image] = images ?? [];
  if (!image) throw new Error('The job is done and has no picture.');
  const png = (await getPicture(image.url)) as Uint8Array<ArrayBuffer>;
  return {
    state: 'done',
    png,
    picture: URL.createObjectURL(new Blob([png], { type: 'image/png' })),
    width: image.width,
    height: image.height,
    plan: plan ?? null,
    evaluations: evaluations ?? null,
    seconds: seconds ?? null,
  };
}

function sentenceOf(error: unknown): { code: string; message: string } {
  if (error instanceof Refused && error.code === 'UNKNOWN_JOB') {
    const message = 'The server does not know this picture: it was started anew, or has forgotten it. Make it again.';
    return { code: error.code, message };
  }
  if (error instanceof Refused) return { code: error.code, message: error.message };
  if (error instanceof Unreachable) return { code: 'UNREACHABLE', message: error.message };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}
