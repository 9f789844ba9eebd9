/**
 * The memory of arrays that are sent to another thread and not used here any more: it is moved, not copied. An array that
 * is a part of some memory is copied: the rest is somebody else's.
 */
export function buffersIn(value: unknown, into = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    if (value.byteLength === value.buffer.byteLength) into.add(value.buffer as ArrayBuffer);
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) buffersIn(inner, into);
  }
  return [...into];
}
