/** What previews cost: the same picture with them and without, in turn, as the page asks for it. */
import type { ImageRequest } from '../../lib/server';
import { previewShare } from '../../studio/src/state/previewShare';
import { ratioFigure, type Figure } from '../figure';
import { Subject } from '../server/subject';
import { ratioOf } from '../statistics';

interface Cost {
  /** From the job's turn to its picture. */
  seconds: number;
  /** Of the server's threads together, with what its client was told. */
  processorSeconds: number;
  previews: number;
}

export async function previewCost(name: string, bundle: string, pairs: number): Promise<Figure[]> {
  const subject = await Subject.start({ bundles: [bundle] });
  try {
    const request: ImageRequest = { classLabel: 0, seed: 7, numInferenceSteps: 20 };
    const withPreviews: Cost[] = [];
    const without: Cost[] = [];
    for (let pair = -1; pair < pairs; pair++) {
      const both = [
        async () => withPreviews.push(await costOf(subject, { ...request, preview: previewShare })),
        async () => without.push(await costOf(subject, request)),
      ];
      for (const take of pair % 2 === 0 ? both : both.reverse()) await take();
      // The first ones load, and warm up.
      if (pair < 0) withPreviews.length = without.length = 0;
    }
    const figure = (what: string, of: (cost: Cost) => number): Figure => {
      const ratio = ratioOf(withPreviews.map(of), without.map(of));
      return ratioFigure(`preview-${what}-${name}`, ratio, '<= 1.03', ratio.ratio <= 1.03);
    };
    return [
      figure('seconds', ({ seconds }) => seconds),
      figure('processor', ({ processorSeconds }) => processorSeconds),
      {
        name: `previews-a-picture-${name}`,
        value: withPreviews.reduce((sum, { previews }) => sum + previews, 0) / pairs,
        unit: '',
        goal: '>= 1',
        met: withPreviews.every(({ previews }) => previews >= 1),
        samples: pairs,
      },
    ];
  } finally {
    await subject.close();
  }
}

/** A job that is followed to its end, as the page follows it. */
async function costOf(subject: Subject, request: ImageRequest): Promise<Cost> {
  const before = await subject.ask('processor');
  const accepted = await subject.post('/v1/jobs', request);
  if (accepted.status !== 202) throw new Error(`${accepted.status}: ${await accepted.text()}`);
  const { id } = (await accepted.json()) as { id: string };
  const events = await (await fetch(`${subject.url}/v1/jobs/${id}/events`)).text();
  const after = await subject.ask('processor');
  const { seconds } = await subject.get<{ seconds: number }>(`/v1/jobs/${id}`);
  const previews = events.match(/^event: preview$/gm)?.length ?? 0;
  return { seconds, processorSeconds: after - before, previews };
}
