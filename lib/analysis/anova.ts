/** Two-way analysis of variance: how much of a quantity's variation each of two factors explains. */
import { invalid } from '../validation/invalid';

import { mean } from './statistics';

/** Shares of the total sum of squares, η²; they add up to 1. All are 0 when nothing varies. */
export interface VarianceShares {
  /** Of the first factor. */
  first: number;
  /** Of the second factor. */
  second: number;
  /** Of the two together, beyond what each explains alone. Without repetitions it holds the residual as well. */
  interaction: number;
  /** Between repetitions. */
  residual: number;
}

/**
 * Balanced two-way analysis of variance.
 *
 * @param values [level of the first factor][level of the second factor][repetition], as many repetitions in every cell
 * @throws BAD_OPTION for cells of different sizes, or without values
 */
export function varianceShares(values: readonly (readonly (readonly number[])[])[]): VarianceShares {
  const cells = values.flat();
  const [columns, repetitions] = [values[0]?.length ?? 0, cells[0]?.length ?? 0];
  if (
    repetitions === 0 ||
    values.some((row) => row.length !== columns) ||
    cells.some((cell) => cell.length !== repetitions)
  ) {
    throw invalid('The cells of the analysis of variance', 'as many values in each, at least one', cells, {
      shown: [...new Set(cells.map((cell) => cell.length))].join(' and ') || 'none',
    });
  }
  const grand = mean(cells.flat());
  const rowMeans = values.map((row) => mean(row.flat()));
  const columnMeans = values[0]!.map((_, column) => mean(values.flatMap((row) => row[column]!)));
  const sums = { first: 0, second: 0, interaction: 0, residual: 0 };
  values.forEach((row, i) =>
    row.forEach((cell, j) => {
      const cellMean = mean(cell);
      for (const value of cell) {
        sums.first += (rowMeans[i]! - grand) ** 2;
        sums.second += (columnMeans[j]! - grand) ** 2;
        sums.interaction += (cellMean - rowMeans[i]! - columnMeans[j]! + grand) ** 2;
        sums.residual += (value - cellMean) ** 2;
      }
    }),
  );
  const total = sums.first + sums.second + sums.interaction + sums.residual;
  const share = (sum: number) => (total > 0 ? sum / total : 0);
  return {
    first: share(sums.first),
    second: share(sums.second),
    interaction: share(sums.interaction),
    residual: share(sums.residual),
  };
}
