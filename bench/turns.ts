/** Times several things in turn, A B C A B C …, so that a busy or a hot machine is so for all of them. */
import { setTimeout as sleep } from 'node:timers/promises';

/** One thing to time. */
export interface Contestant {
  name: string;
  /** Runs once; gives seconds. */
  run(): Promise<number>;
}

export interface Turns {
  rounds: number;
  /** Milliseconds between two contestants: the threads of the one that was timed go to sleep meanwhile. */
  pause: number;
  onRound?: (round: number) => void;
}

/**
 * Every round runs each contestant once, every other round in the opposite order, so that none always has the same one
 * before it.
 *
 * @returns seconds by name, one for each round
 */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, pause, onRound }: Turns,
): Promise<Map<string, number[]>> {
  const seconds = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? contestants : [...contestants].reverse();
    for (const { name, run } of order) {
      await sleep(pause);
      seconds.get(name)!.push(await run());
    }
    onRound?.(round + 1);
  }
  return seconds;
}

/** Seconds that an action takes. */
export async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return (performance.now() - started) / 1000;
}
