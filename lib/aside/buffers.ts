/** The memory of arrays that are sent to another thread and not used here any more: it is moved, not copied. */
export function buffersIn(value: unknown, into = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) into.add(value.buffer as ArrayBuffer);
  else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) buffersIn(inner, into);
  }
  return [...into];
}
