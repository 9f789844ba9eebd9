/** What is done when something comes into sight, or close to it. */
const listeners = new Map<Element, () => void>();

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      const listener = listeners.get(target);
      listeners.delete(target);
      observer.unobserve(target);
      listener?.();
    }
  },
  { rootMargin: '300px' },
);

/** Once. @returns what ends it */
export function whenInSight(element: Element, listener: () => void): () => void {
  listeners.set(element, listener);
  observer.observe(element);
  return () => {
    listeners.delete(element);
    observer.unobserve(element);
  };
}
