/**
 * How well features tell what belongs together, where the answer is known: pictures of the same class, and the same
 * part of a picture after it has been moved.
 */
import { checkObject, invalid } from '../validation/invalid';
import { toFloat32, type Tensor } from '../tensor';

export interface ClassCorrespondence {
  /** Share of the pictures whose nearest other picture, by the cosine of their mean features, has their class. */
  accuracy: number;
  /** What guessing gives: the mean share that a picture's class has among the others. */
  chance: number;
}

/**
 * Class correspondence: leave-one-out nearest neighbour.
 *
 * @param features [images, tokens, width]
 * @param classes class of each image
 * @throws BAD_TENSOR when there are not as many classes as images, or fewer than 2
 */
export function classCorrespondence(features: Tensor, classes: readonly number[]): ClassCorrespondence {
  checkObject(features, 'features', 'a tensor { data, shape, dtype }');
  const [images = 0, tokens = 0, width = 0] = features.shape;
  if (images !== classes.length || images < 2) {
    throw invalid('The features', `those of ${classes.length} images, at least 2`, images, {
      code: 'BAD_TENSOR',
      shown: `those of ${images}`,
    });
  }
  const data = toFloat32(features);
  const pooled = Array.from({ length: images }, (_, image) => {
    const sums = new Float64Array(width);
    for (let token = 0; token < tokens; token++)
      for (let k = 0; k < width; k++) sums[k]! += data[(image * tokens + token) * width + k]!;
    return unit(sums);
  });
  const right = pooled.filter((one, image) => {
    const scores = pooled.map((other, index) => (index === image ? -Infinity : dot(one, other)));
    return classes[scores.indexOf(Math.max(...scores))] === classes[image];
  }).length;
  const same = classes.map((label) => classes.filter((other) => other === label).length - 1);
  const chance = same.reduce((sum, count) => sum + count / (images - 1), 0) / images;
  return { accuracy: right / images, chance };
}

export interface PartCorrespondence {
  /** Share of the tokens whose nearest token in the moved picture is where they went. */
  accuracy: number;
  /** Share whose nearest token is where they were: features that know places and not parts. */
  stayed: number;
  /** Tokens that were looked at. */
  tokens: number;
}

/**
 * Part correspondence: the picture moved by whole tokens, matched to itself by cosine.
 *
 * @param original features of the pictures, [images, tokens, width]
 * @param moved features of the same pictures, moved to the right by `columns` tokens
 * @param chosen for each image the tokens to follow; those that leave the picture are not counted
 */
export function partCorrespondence(
  original: Tensor,
  moved: Tensor,
  [, gridColumns]: readonly [number, number],
  columns: number,
  chosen: readonly (readonly number[])[],
): PartCorrespondence {
  for (const [name, value] of Object.entries({ original, moved })) {
    checkObject(value, name, 'a tensor { data, shape, dtype }');
  }
  const [before, after] = [tokenVectors(original), tokenVectors(moved)];
  let [right, stayed, tokens] = [0, 0, 0];
  before.forEach((vectors, image) => {
    for (const token of chosen[image] ?? []) {
      if ((token % gridColumns) + columns >= gridColumns) continue;
      const scores = after[image]!.map((other) => dot(vectors[token]!, other));
      const match = scores.indexOf(Math.max(...scores));
      tokens++;
      if (match === token + columns) right++;
      if (match === token) stayed++;
    }
  });
  return { accuracy: right / tokens, stayed: stayed / tokens, tokens };
}

function tokenVectors(features: Tensor): Float64Array[][] {
  const [images = 0, tokens = 0, width = 0] = features.shape;
  const data = toFloat32(features);
  return Array.from({ length: images }, (_, image) =>
    Array.from({ length: tokens }, (__, token) => {
      const at = (image * tokens + token) * width;
      return unit(Float64Array.from(data.subarray(at, at + width)));
    }),
  );
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector));
  return length > 0 ? vector.map((value) => value / length) : vector;
}

function dot(one: Float64Array, other: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < one.length; index++) sum += one[index]! * other[index]!;
  return sum;
}
