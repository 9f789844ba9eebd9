/** Progress on stderr: a bar where somebody watches, a few plain lines where the output is kept in a log. */
import { SingleBar } from 'cli-progress';

import { isQuiet } from './quiet';

export interface Progress {
  /** @param done units of work that are finished @param doing what is being worked on, a few words */
  update(done: number, doing: string): void;
  /** Ends the bar; safe to call twice. */
  stop(): void;
}

/**
 * @param total units of work
 * @param unit their name in the plural
 */
export function startProgress(total: number, unit: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (isQuiet()) return { update: () => undefined, stop: () => undefined };
  return stream.isTTY ? startBar(total, unit, stream) : startLines(total, unit, stream);
}

function startBar(total: number, unit: string, stream: NodeJS.WriteStream): Progress {
  const bar = new SingleBar({
    stream,
    format: `{bar} {value}/{total} ${unit}  {doing}  {duration_formatted}`,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 32,
    hideCursor: true,
    // Otherwise the bar swallows Ctrl-C on some terminals; interrupt.ts listens.
    gracefulExit: false,
  });
  bar.start(total, 0, { doing: '' });
  return {
    update: (done, doing) => bar.update(done, { doing: doing.padEnd(28) }),
    stop: () => bar.stop(),
  };
}

/** At most one line a tenth of the work, so that a log stays short. */
function startLines(total: number, unit: string, stream: NodeJS.WriteStream): Progress {
  const started = performance.now();
  let printed = 0;
  return {
    update(done, doing) {
      const tenth = Math.floor((done / total) * 10);
      if (tenth <= printed) return;
      printed = tenth;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      stream.write(`${done}/${total} ${unit}, ${seconds} s: ${doing}\n`);
    },
    stop: () => undefined,
  };
}
