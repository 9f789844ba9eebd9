/** What a window's page may ask of the main process. */
import { invalid } from '../validation/invalid';

import type { WindowLike } from './electron';
import { problemOf } from './problem';
import type { Outcome } from './types';

/** What is done when the page asks over a channel; what it throws is the answer, with its code. */
export type Handlers = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

/**
 * Answers the page itself, and no frame in it.
 *
 * @returns what ends it
 */
export function answerPage(window: WindowLike, handlers: Handlers): () => void {
  const { ipc } = window.webContents;
  for (const [channel, ask] of Object.entries(handlers)) {
    ipc.handle(channel, async ({ senderFrame }, ...args): Promise<Outcome<unknown>> => {
      try {
        if (senderFrame !== window.webContents.mainFrame)
          throw invalid('The frame', 'the page itself', 'a frame in it');
        return { ok: true, value: await ask(...args) };
      } catch (error) {
        return { ok: false, error: problemOf(error) };
      }
    });
  }
  return () => {
    for (const channel of Object.keys(handlers)) ipc.removeHandler(channel);
  };
}
