/** Order statistics and agreement of rankings: what the analyses count with. All are pure. */

/** The middle value; of an even number of values the mean of the two in the middle. NaN for none. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The middle value, of an even number of values the lower of the two in the middle, as torch.median has it. */
export function lowerMedian(values: ArrayLike<number>): number {
  return values.length === 0 ? NaN : Float64Array.from(values).sort()[(values.length - 1) >> 1]!;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum / values.length;
}

/** Indices by falling value; equal values in the order of their indices. */
export function strongestFirst(values: ArrayLike<number>): number[] {
  return Array.from(values, (_, index) => index).sort((a, b) => values[b]! - values[a]! || a - b);
}

/** |A ∩ B| / |A ∪ B|; two empty sets agree. */
export function jaccard(one: Iterable<number>, other: Iterable<number>): number {
  const [a, b] = [new Set(one), new Set(other)];
  const common = [...a].filter((element) => b.has(element)).length;
  const union = a.size + b.size - common;
  return union === 0 ? 1 : common / union;
}

/** Mean Jaccard index over all pairs; 1 for fewer than two sets. */
export function meanJaccard(sets: readonly (readonly number[])[]): number {
  const pairs = sets.flatMap((one, index) => sets.slice(index + 1).map((other) => jaccard(one, other)));
  return pairs.length === 0 ? 1 : mean(pairs);
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, index) => index).sort((a, b) => values[a]! - values[b]!);
  const result = new Float64Array(values.length);
  for (let begin = 0; begin < order.length;) {
    let end = begin;
    while (end + 1 < order.length && values[order[end + 1]!] === values[order[begin]!]) end++;
    for (let place = begin; place <= end; place++) result[order[place]!] = (begin + end) / 2 + 1;
    begin = end + 1;
  }
  return result;
}

/** Spearman's rank correlation, −1 to 1; NaN when one of the two does not vary. */
export function spearman(one: ArrayLike<number>, other: ArrayLike<number>): number {
  return pearson(ranks(one), ranks(other));
}

function pearson(one: ArrayLike<number>, other: ArrayLike<number>): number {
  const [meanOne, meanOther] = [mean(one), mean(other)];
  let [product, squareOne, squareOther] = [0, 0, 0];
  for (let index = 0; index < one.length; index++) {
    const [a, b] = [one[index]! - meanOne, other[index]! - meanOther];
    product += a * b;
    squareOne += a * a;
    squareOther += b * b;
  }
  return product / Math.sqrt(squareOne * squareOther);
}
