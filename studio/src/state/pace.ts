/** News as often as a page can draw them: fast models tell of hundreds of steps a second. */

/** Milliseconds between two looks. */
const lookEvery = 50;

/** Passes on what is told at once, or what was told last when it is time for the next look. */
export class Pace<News extends object> {
  #latest: Partial<News> = {};
  #look: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly pass: (news: Partial<News>) => void) {}

  /** What was told and has not been passed on. */
  get latest(): Readonly<Partial<News>> {
    return this.#latest;
  }

  tell(news: Partial<News>): void {
    clearTimeout(this.#look);
    this.#look = undefined;
    const all = { ...this.#latest, ...news };
    this.#latest = {};
    this.pass(all);
  }

  tellSoon(news: Partial<News>): void {
    this.#latest = { ...this.#latest, ...news };
    this.#look ??= setTimeout(() => this.tell({}), lookEvery);
  }
}
