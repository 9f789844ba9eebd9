/** Position ids that a transformer takes as an input. */
import type { PositionExpression } from '../bundle';
import type { Tensor } from '../tensor';

/**
 * @param tokenGrid image tokens, [rows, columns]
 * @param tokensOf tokens of another input, which `zeros` are for
 * @returns float32 [tokens, axes]
 */
export function positions(
  expression: PositionExpression,
  [rows, columns]: readonly [number, number],
  tokensOf: (input: string) => number,
): Tensor {
  const { axes } = expression;
  const tokens = expression.positions === 'grid' ? rows * columns : tokensOf(expression.like);
  const data = new Float32Array(tokens * axes);
  if (expression.positions === 'grid') {
    // (0, …, row, column), row by row.
    for (let token = 0; token < tokens; token++) {
      data[token * axes + axes - 2] = Math.floor(token / columns);
      data[token * axes + axes - 1] = token % columns;
    }
  }
  return { data, shape: [tokens, axes], dtype: 'float32' };
}
