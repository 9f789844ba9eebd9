/** What somebody asks of Redis and waits for: an answer within seconds, or a refusal with a code. */
import { ServerError } from '../problem';

/** Milliseconds that a caller waits for Redis. */
const patience = 5000;

export const unavailable = (what: string) =>
  new ServerError('QUEUE_UNAVAILABLE', `Redis, which holds the queue, ${what}.`, { 'Retry-After': '5' });

/**
 * @param work gets a signal that aborts when nobody waits for it any more
 * @param say hears what Redis refuses with: a password, its memory: the operator's to read
 * @throws QUEUE_UNAVAILABLE when Redis does not answer, or refuses
 */
export async function reached<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  say: (error: Error) => void,
  milliseconds = patience,
): Promise<Result> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), milliseconds);
  const end = new Promise<never>((_, reject) => {
    late.signal.addEventListener('abort', () => reject(unavailable('does not answer')), { once: true });
  });
  try {
    return await Promise.race([work(late.signal), end]);
  } catch (error) {
    if (error instanceof ServerError) throw error;
    if (!isRefusal(error)) throw unavailable('does not answer');
    say(error);
    throw unavailable(`refuses${codeOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

/** What BullMQ says of a Redis that is too old for it. */
const tooOld = /^Redis version needs to be greater or equal than ([\d.]+)\s+Current: ([\d.]+)/;

const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && (error.name === 'ReplyError' || tooOld.test(error.message));

/** Redis's own word for it, such as OOM, READONLY or NOPERM; what follows it is not for everybody. */
function codeOf({ message }: Error): string {
  const [, least, version] = tooOld.exec(message) ?? [];
  if (version !== undefined) return ` (its version is ${version}, at least ${least} is needed)`;
  const [code] = /^[A-Z]{3,}(?= )/.exec(message) ?? [];
  return code === undefined || code === 'ERR' ? '' : ` (${code})`;
}

/** Milliseconds for which an answer of the probe stands. */
const probeEvery = 1000;
/** Milliseconds that who asks for it waits: those who ask whether a server is ready do not wait long. */
const probePatience = 2000;

/** Whether Redis takes what is written: asked once a second at most, however many ask. */
export class WriteProbe {
  #answer: Promise<string | null> | null = null;

  constructor(
    private readonly write: () => Promise<unknown>,
    private readonly say: (error: Error) => void,
  ) {}

  /** Why nothing can be written, in a sentence; null where it can. */
  obstacle(): Promise<string | null> {
    this.#answer ??= reached(this.write, this.say, probePatience)
      .then(
        () => null,
        ({ message }: Error) => message,
      )
      .finally(() => setTimeout(() => (this.#answer = null), probeEvery).unref());
    return this.#answer;
  }
}
