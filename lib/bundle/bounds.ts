/** Sizes that memory is made for before a model has seen them. */

/** Numbers of one tensor: a gigabyte of float32, a hundred times what the largest models have. */
export const mostNumbers = 2 ** 28;

export function isBounded(sizes: readonly number[]): boolean {
  return sizes.reduce((product, size) => product * size, 1) <= mostNumbers;
}
