/** Joins what the text encoders give into one input of the transformer. Tensors of one row. */
import type { Expression } from '../bundle';
import { type DetailGuidanceError } from '../validation/errors';
import { invalid } from '../validation/invalid';
import { toFloat32, type Tensor } from '../tensor';

/** What one encoder makes of one prompt. */
export interface EncodedText {
  /** [1, tokens], as the encoder was given them. */
  ids: Tensor;
  /** int64 [1, tokens]. */
  mask: Tensor;
  /** [1, tokens, width]. */
  sequence?: Tensor;
  /** [1, width]. */
  pooled?: Tensor;
}

/** What expressions are made of. */
export interface JoinContext {
  /** By the encoder's name. */
  encoded: Readonly<Record<string, EncodedText>>;
  maxSequenceLength: number;
}

/**
 * The tensor that an expression stands for; null for one that does not depend on the prompt.
 *
 * @throws BUNDLE_INVALID for parts that do not fit together
 */
export function joinText(expression: Expression, context: JoinContext): Tensor | null {
  if ('positions' in expression || 'size' in expression) return null;
  if ('from' in expression) return encoderOutput(expression, context);
  if ('zeros' in expression) {
    const { tokens, channels } = expression.zeros;
    const shape = [1, tokens === 'maxSequenceLength' ? context.maxSequenceLength : tokens, channels];
    return { data: new Float32Array(shape[1]! * channels), shape, dtype: 'float32' };
  }
  const parts = expression.of.map((part) => {
    const tensor = joinText(part, context);
    if (!tensor || tensor.dtype === 'int64') throw unfit('embeddings to join', 'something else');
    return { data: toFloat32(tensor), shape: tensor.shape };
  });
  return expression.join === 'tokens' ? joinTokens(parts) : joinChannels(parts, expression.padTo);
}

function encoderOutput(
  { from, output, zeroPadding }: Extract<Expression, { from: string }>,
  { encoded }: JoinContext,
): Tensor {
  const { mask, [output]: tensor } = encoded[from]!;
  if (!tensor) throw unfit(`the output '${output}' of '${from}'`, undefined);
  if (output === 'mask') return tensor;
  const data = Float32Array.from(toFloat32(tensor));
  if (zeroPadding) {
    const width = tensor.shape[2] ?? 1;
    mask.data.forEach((bit: number | bigint, token: number) => {
      if (Number(bit) === 0) data.fill(0, token * width, (token + 1) * width);
    });
  }
  return { data, shape: tensor.shape, dtype: 'float32' };
}

interface Part {
  data: Float32Array;
  shape: number[];
}

/** [1, a, C], [1, b, C] → [1, a + b, C]: with one row, one after the other in memory. */
function joinTokens(parts: Part[]): Tensor {
  const width = parts[0]!.shape[2];
  const other = parts.find(({ shape }) => shape.length !== 3 || shape[2] !== width);
  if (other) throw unfit(`tokens of ${width} channels to join`, other.shape.at(-1));
  const tokens = parts.reduce((sum, { shape }) => sum + shape[1]!, 0);
  const data = new Float32Array(tokens * width!);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { data, shape: [1, tokens, width!], dtype: 'float32' };
}

/** [.., a], [.., b] → [.., a + b], and zeros up to `padTo`. */
function joinChannels(parts: Part[], padTo: number | undefined): Tensor {
  const outer = parts[0]!.shape.slice(0, -1);
  const rows = outer.reduce((product, size) => product * size, 1);
  const other = parts.find(({ shape, data }) => data.length !== rows * shape.at(-1)!);
  if (other) throw unfit(`channels of [${parts[0]!.shape.join(', ')}] to join`, other.shape);
  const joined = parts.reduce((sum, { shape }) => sum + shape.at(-1)!, 0);
  const width = padTo ?? joined;
  if (joined > width) throw unfit(`at most ${width} channels, to which they are padded`, joined);
  const data = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    let offset = row * width;
    for (const part of parts) {
      const own = part.shape.at(-1)!;
      data.set(part.data.subarray(row * own, (row + 1) * own), offset);
      offset += own;
    }
  }
  return { data, shape: [...outer, width], dtype: 'float32' };
}

function unfit(expected: string, received: unknown): DetailGuidanceError {
  return invalid('bundle.json.conditioning.inputs', expected, received, { code: 'BUNDLE_INVALID' });
}
