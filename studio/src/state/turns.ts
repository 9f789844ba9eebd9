/** Work of which only so much is done at a time, in the order in which it came. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<(isHere: boolean) => void>();

  constructor(most: number) {
    this.#free = most;
  }

  /** Does the work when its turn has come. @returns null where it is called off before */
  async take<Result>(until: AbortSignal, work: () => Promise<Result>): Promise<Result | null> {
    if (!(await this.#turn(until))) return null;
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next) {
        this.#waiting.delete(next);
        next(true);
      } else this.#free++;
    }
  }

  #turn(until: AbortSignal): Promise<boolean> {
    if (until.aborted) return Promise.resolve(false);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      until.addEventListener('abort', () => this.#waiting.delete(resolve) && resolve(false), { once: true });
    });
  }
}
