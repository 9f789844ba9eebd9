/** How often a job has a preview. */

/** Milliseconds between two, at least, unless there is to be one after every step: more often nobody sees. */
const interval = 50;

/** Previews take no more than a share of a job's time. */
export class PreviewPace {
  readonly #started: number;
  #spent = 0;
  /** What the last one took. */
  #latest = 0;
  /** When the next one may be begun. */
  #earliest = 0;
  /** When the one was begun that is being made. */
  #begun: number | null = null;

  /**
   * @param share from 0, none, to 1, one after the other
   * @param now milliseconds
   */
  constructor(
    private readonly share: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#started = now();
  }

  /** None was begun yet. */
  get isNew(): boolean {
    return this.#begun === null && this.#latest === 0;
  }

  /** Whether there may be one now; it is being made then, until `end`. */
  begin(): boolean {
    if (this.share === 0 || this.#begun !== null) return false;
    const time = this.now();
    if (this.share < 1) {
      if (time < this.#earliest) return false;
      // The next one is expected to take what the last one did.
      if (this.#spent + this.#latest > this.share * (time - this.#started)) return false;
    }
    this.#earliest = time + interval;
    this.#begun = time;
    return true;
  }

  /** It is made and sent. */
  end(): void {
    if (this.#begun === null) return;
    this.#latest = this.now() - this.#begun;
    this.#spent += this.#latest;
    this.#begun = null;
  }
}
