/** Which form of an answer a client prefers, by its Accept header (RFC 9110, 12.5.1). */

interface Range {
  /** A type, all of its kind, or all there are. */
  name: string;
  quality: number;
}

/**
 * The offered type with the highest quality; of equal ones the one that is named most exactly, then the one that is named
 * first, then the one that is offered first. Null where none will do.
 */
export function preferredType<Type extends string>(accept: string | undefined, offered: readonly Type[]): Type | null {
  if (accept === undefined || accept.trim() === '') return offered[0]!;
  const ranges = accept.split(',').map(rangeOf);
  const [best] = offered
    .map((type) => {
      const names = [type, type.replace(/\/.*/, '/*'), '*/*'];
      const exactness = names.findIndex((name) => ranges.some((range) => range.name === name));
      const at = ranges.findIndex(({ name }) => name === names[exactness]);
      return { type, quality: ranges[at]?.quality ?? 0, exactness, at };
    })
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality || a.exactness - b.exactness || a.at - b.at);
  return best?.type ?? null;
}

function rangeOf(text: string): Range {
  const [name = '', ...parameters] = text.toLowerCase().split(';');
  const quality = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/.exec(parameter)?.[1]).find(Boolean);
  return { name: name.trim(), quality: quality === undefined ? 1 : Number(quality) };
}
