/** Waits. Who is stopped meanwhile does not keep his place from others. */
export function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    until.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
