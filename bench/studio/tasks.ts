/** The tasks of a page's main thread, out of Chromium's trace. */
import type { CDPSession, Page } from 'playwright-core';

/** In milliseconds. */
export interface Task {
  /** By the clock: what else the machine does meanwhile is in it. */
  wall: number;
  /** What the processor did for it. */
  processor: number;
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  dur?: number;
  tdur?: number;
}

/** By which the page's thread is found among those of the browser's own pages. */
const mark = 'the page that is measured';

/** The page's tasks while something is done with it. */
export async function tasksDuring(page: Page, act: () => Promise<void>): Promise<Task[]> {
  const session = await page.context().browser()!.newBrowserCDPSession();
  try {
    const events = await traced(session, async () => {
      await page.evaluate(`performance.mark(${JSON.stringify(mark)})`);
      await act();
    });
    const { pid, tid } = events.find(({ name }) => name === mark)!;
    return events
      .filter((event) => event.name === 'ThreadControllerImpl::RunTask' && event.ph === 'X')
      .filter((event) => event.pid === pid && event.tid === tid)
      .map(({ dur = 0, tdur = 0 }) => ({ wall: dur / 1000, processor: tdur / 1000 }));
  } finally {
    await session.detach();
  }
}

async function traced(session: CDPSession, act: () => Promise<void>): Promise<TraceEvent[]> {
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', 'blink.user_timing'], excludedCategories: ['*'] },
  });
  await act();
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  await session.send('Tracing.end');
  await complete;
  return events;
}
