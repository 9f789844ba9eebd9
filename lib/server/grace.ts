/** How long a server that stops waits. */

/** The longest time that a timer takes; after a longer one it would go off at once. */
const mostMilliseconds = 2 ** 31 - 1;

/** Milliseconds of so many seconds, which may be infinite, for a timer. */
export const timerLength = (seconds: number): number => Math.min(Math.max(seconds, 0) * 1000, mostMilliseconds);
