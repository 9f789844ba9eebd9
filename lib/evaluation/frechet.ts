/**
 * Fréchet distance between two Gaussians fitted to feature vectors (Dowson and Landau 1982; for images Heusel et al.,
 * arXiv 1706.08500, who take the features of an Inception network: only then is it called FID):
 *
 *   d² = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁ Σ₂)^½
 *
 * The product Σ₁ Σ₂ is not symmetric, and its square root as such may come out complex by rounding. It has the
 * eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric and has none below zero, so the trace is the sum of their roots.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

import { invalid } from '../validation/invalid';

import { covariance, type Moments } from './moments';

/** A Gaussian with the root of its covariance, which distances to many others have in common. */
export interface Gaussian {
  mean: Float64Array;
  covariance: Matrix;
  root: Matrix;
}

/** @throws BAD_OPTION for fewer than two images, BAD_TENSOR for features that are not finite */
export function gaussianOf(moments: Moments): Gaussian {
  const matrix = covarianceMatrix(moments);
  return { mean: moments.mean, covariance: matrix, root: squareRoot(matrix) };
}

/**
 * The squared Fréchet distance d², in squared units of the features; 0 for equal moments.
 *
 * @throws BAD_OPTION for fewer than two images, BAD_TENSOR for features that are not finite
 */
export function frechetDistance(reference: Gaussian, generated: Moments): number {
  const other = covarianceMatrix(generated);
  const between = reference.mean.reduce((sum, value, index) => sum + (value - generated.mean[index]!) ** 2, 0);
  const product = symmetric(reference.root.mmul(other).mmul(reference.root));
  const cross = rootsOf(eigenvalues(product).realEigenvalues).reduce((sum, root) => sum + root, 0);
  return Math.max(0, between + reference.covariance.trace() + other.trace() - 2 * cross);
}

function covarianceMatrix(moments: Moments): Matrix {
  const values = covariance(moments);
  if (!values.every(Number.isFinite)) {
    throw invalid('The features', 'finite values', undefined, { code: 'BAD_TENSOR', shown: 'NaN or infinities' });
  }
  return Matrix.from1DArray(moments.width, moments.width, values);
}

function squareRoot(matrix: Matrix): Matrix {
  const { eigenvectorMatrix: vectors, realEigenvalues } = eigenvalues(matrix);
  return symmetric(vectors.mmul(Matrix.diag(rootsOf(realEigenvalues))).mmul(vectors.transpose()));
}

function eigenvalues(matrix: Matrix): EigenvalueDecomposition {
  return new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
}

/**
 * Roots of the eigenvalues of a matrix that has none below zero. What is below the rounding error of the largest is
 * noise around zero, whose root would be much larger than itself: it counts as zero.
 */
function rootsOf(values: number[]): number[] {
  const noise = Math.max(...values, 0) * values.length * Number.EPSILON;
  return values.map((value) => (value > noise ? Math.sqrt(value) : 0));
}

function symmetric(matrix: Matrix): Matrix {
  return matrix.clone().add(matrix.transpose()).mul(0.5);
}
