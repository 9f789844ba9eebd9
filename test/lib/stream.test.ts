/** Records on their way from a run to who reads them: what is in memory and what is on the disk. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { expect, test } from '@jest/globals';

import { streamRecords, type RecordedRun } from '../../lib/activations/stream';
import type { NativeRecords } from '../../lib/native';

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

const delivery = (step: number): NativeRecords => ({
  step,
  timestep: step / 7,
  image: 0,
  images: 1,
  index: Int32Array.of(0, 0, 1, 3, 0),
  words: Int32Array.of(step, -step),
  tensors: [
    { data: Float32Array.of(step, NaN, -0), shape: [1, 1, 3], dtype: 'float32' },
    { data: Uint16Array.of(step, 0xffff), shape: [1, 1, 2], dtype: 'bfloat16' },
  ],
});

/** A run that delivers whenever it has room for another, `room` at a time. */
class Run {
  readonly delivered: WeakRef<NativeRecords>[] = [];
  waitedFor = false;
  mostUnreleased = 0;
  tell = (): void => undefined;
  #unreleased = 0;

  constructor(
    readonly steps: number,
    readonly room: number,
  ) {}

  start = (deliver: (records: NativeRecords) => void, waitedFor: () => void): RecordedRun<string> => {
    this.tell = waitedFor;
    let cancelled = false;
    const finished = (async () => {
      for (let step = 0; step < this.steps && !cancelled;) {
        await sleep(0);
        if (this.#unreleased < this.room) {
          const records = delivery(step++);
          this.delivered.push(new WeakRef(records));
          this.#unreleased++;
          this.mostUnreleased = Math.max(this.mostUnreleased, this.#unreleased);
          deliver(records);
        }
      }
      return 'the end';
    })();
    return {
      finished,
      release: () => void this.#unreleased--,
      cancel: () => (cancelled = true),
      isWaitedFor: () => this.waitedFor,
    };
  };
}

const until = async (holds: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 5000 && !holds(); turn++) await sleep(1);
  expect(holds()).toBe(true);
};

test('a reader who is slow holds the run up while nobody waits for it', async () => {
  const run = new Run(40, 4);
  const records = streamRecords(run.start, (each) => [each]);
  await records.next();
  await sleep(60);
  expect(run.delivered).toHaveLength(4);
  await records.return(undefined as never);
});

test('while a call waits the run comes to its end, what is not read leaves the memory, and all of it is read', async () => {
  const run = new Run(40, 4);
  const records = streamRecords(run.start, (each) => [each]);
  const first = await records.next();
  expect(first.value).toEqual(delivery(0));
  run.waitedFor = true;
  run.tell();
  await until(() => run.delivered.length === 40);
  await sleep(20);
  collectGarbage();
  const kept = run.delivered.slice(1).filter((each) => each.deref());
  expect(kept.length).toBeLessThanOrEqual(4);
  expect(run.mostUnreleased).toBeLessThanOrEqual(4);
  for (let step = 1; step < 40; step++) expect((await records.next()).value).toEqual(delivery(step));
  expect(await records.next()).toEqual({ done: true, value: 'the end' });
});

test('a reader who waits for records gets them from memory', async () => {
  const run = new Run(12, 4);
  run.waitedFor = true;
  const steps: number[] = [];
  for await (const record of streamRecords(run.start, (each) => [each])) {
    // The very object, not a copy of it.
    expect(run.delivered[record.step]!.deref()).toBe(record);
    steps.push(record.step);
  }
  expect(steps).toEqual(Array.from({ length: 12 }, (_, step) => step));
});
