/** One colour for each branch, the same in equation, windows and time line. */
export const branchColours = {
  conditional: 'var(--conditional)',
  unconditional: 'var(--cfg)',
  degraded: 'var(--detail)',
  other: 'var(--other)',
} as const;

export function colourOfBranch(name: string): string {
  if (name === 'conditional') return branchColours.conditional;
  if (name === 'unconditional') return branchColours.unconditional;
  return name.startsWith('detail-deficient') ? branchColours.degraded : branchColours.other;
}
