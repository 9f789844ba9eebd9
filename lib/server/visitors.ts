/** Requests that use a model beside the queue: as many at once as jobs may wait. */
import { ServerError } from './problem';

export class Visitors {
  #count = 0;

  /** @param name what they ask for, several of it */
  constructor(
    private readonly most: number,
    private readonly name: string,
  ) {}

  /** @throws QUEUE_FULL */
  check(): void {
    if (this.#count < this.most) return;
    const message = `${this.most} ${this.name} wait already; try again in 5 s.`;
    throw new ServerError('QUEUE_FULL', message, { 'Retry-After': '5' });
  }

  /** @throws QUEUE_FULL; what `work` throws */
  async admit<Result>(work: () => Promise<Result>): Promise<Result> {
    this.check();
    this.#count++;
    try {
      return await work();
    } finally {
      this.#count--;
    }
  }
}
