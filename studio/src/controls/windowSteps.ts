/** A window between shares of the steps, as whole steps: step i of n is inside when start ≤ i / n < stop. */

/** The first step that is not before a share. Shares of other numbers of steps lie between two. */
export const stepAt = (share: number, steps: number): number => Math.max(0, Math.ceil(share * steps - 1e-6));

/** As the server divides: a rounded share would lie a step off. */
export const shareAt = (step: number, steps: number): number => step / steps;
