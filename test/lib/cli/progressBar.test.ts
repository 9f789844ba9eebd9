import { expect, test } from '@jest/globals';
import { Writable } from 'node:stream';

import { startProgress } from '../../../lib/cli/progressBar';

function collect(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  let written = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk);
      done();
    },
  });
  return {
    stream: Object.assign(stream, {
      isTTY,
      columns: 120,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    }) as never,
    text: () => written,
  };
}

test('a log gets a few plain lines, however many updates there are', () => {
  const { stream, text } = collect(false);
  const progress = startProgress(3000, 'steps', stream);
  for (let done = 1; done <= 3000; done++) progress.update(done, 'sampling');
  progress.stop();
  const lines = text().trimEnd().split('\n');
  expect(lines).toHaveLength(10);
  expect(lines[0]).toMatch(/^300\/3000 steps, \d+\.\d s: sampling$/);
  expect(lines[9]).toMatch(/^3000\/3000 steps/);
});

test('work of one unit prints one line', () => {
  const { stream, text } = collect(false);
  const progress = startProgress(1, 'pictures', stream);
  progress.update(0, 'CFG');
  progress.update(1, 'CFG');
  expect(text().match(/\n/g)).toHaveLength(1);
});

test('a terminal gets a bar, and stopping twice is harmless', () => {
  const { stream, text } = collect(true);
  const progress = startProgress(10, 'steps', stream);
  progress.update(5, 'sampling');
  progress.stop();
  progress.stop();
  expect(text()).toContain('/10 steps');
});
