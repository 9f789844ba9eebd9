/** Times several things in turn, A B C A B C …, so that a busy or a hot machine is so for all of them. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What one run took. */
export interface Timing {
  /** By the clock on the wall. */
  seconds: number;
  /** Of all threads together: what is left of a comparison when others use the machine meanwhile. */
  processorSeconds: number;
  /** The most memory there was in tensors on the device, in bytes; null or not there on the CPU. */
  peakBytes?: number | null;
}

/** One thing to time. */
export interface Contestant {
  name: string;
  run(): Promise<Timing>;
}

export interface Turns {
  rounds: number;
  /** Milliseconds between two contestants: the threads of the one that was timed go to sleep meanwhile. */
  pause: number;
  onRound?: (round: number, soFar: ReadonlyMap<string, readonly Timing[]>) => void;
}

/**
 * Every round runs each contestant once, every other round in the opposite order, so that none always has the same one
 * before it.
 *
 * @returns by name, one for each round
 */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, pause, onRound }: Turns,
): Promise<Map<string, Timing[]>> {
  const timings = new Map(contestants.map(({ name }) => [name, [] as Timing[]]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? contestants : [...contestants].reverse();
    for (const { name, run } of order) {
      await sleep(pause);
      timings.get(name)!.push(await run());
    }
    onRound?.(round + 1, timings);
  }
  return timings;
}

/** What an action in this process takes. */
export async function timed(action: () => Promise<unknown>): Promise<Timing> {
  const started = performance.now();
  const before = process.cpuUsage();
  await action();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, processorSeconds: (user + system) / 1e6 };
}
