/** Prompts to embeddings: every encoder of the bundle, one after the other, over the prompts of a call. */
import type { OpenBundle, TextEncoderManifest } from '../bundle';
import { AbortError } from '../validation/errors';
import { invalid } from '../validation/invalid';
import type { Tensor, TensorProgram } from '../tensor';

import type { EncodedText } from './join';
import type { PromptTokenizer } from './tokenizer';
import type { WarningOf } from '../validation/ofKind';

/** An encoder takes fewer tokens than the prompt has. */
export interface PromptTruncated extends WarningOf<'PROMPT_TRUNCATED'> {
  /** The encoder, by its name in the bundle. */
  encoder: string;
  /** The part of the prompt that the encoder does not see, as its tokenizer spells it. */
  removed: string;
}

export interface TextEncoding {
  bundle: OpenBundle;
  tokenizers: ReadonlyMap<string, PromptTokenizer>;
  maxSequenceLength: number;
  /** Runs `use` with a loaded encoder, which may be freed afterwards. */
  withEncoder<Result>(name: string, use: (encoder: TensorProgram) => Promise<Result>): Promise<Result>;
  onWarning?: ((warning: PromptTruncated) => unknown) | undefined;
  /** Encoders done, of how many. */
  onProgress?: ((done: number, total: number) => unknown) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Encodes prompts, one row at a time, so that a prompt's embedding does not depend on the others of the call.
 *
 * @returns for each different prompt what every encoder makes of it
 * @throws MODEL_FAILED, OUT_OF_MEMORY, ABORT_ERR, BUNDLE_INVALID for an encoder that gives something else than described
 */
export async function encodePrompts(
  prompts: readonly string[],
  { bundle, tokenizers, maxSequenceLength, withEncoder, onWarning, onProgress, signal }: TextEncoding,
): Promise<Map<string, Record<string, EncodedText>>> {
  const encoded = new Map<string, Record<string, EncodedText>>(prompts.map((prompt) => [prompt, {}]));
  const encoders = Object.entries(bundle.textEncoders ?? {});
  let done = 0;
  await onProgress?.(done, encoders.length);
  for (const [name, manifest] of encoders) {
    if (signal?.aborted) throw new AbortError(signal.reason);
    await withEncoder(name, async (encoder) => {
      for (const [prompt, result] of encoded) {
        const { ids, mask, removed } = tokenizers.get(name)!.tokenize(prompt, maxSequenceLength);
        if (removed !== null) await onWarning?.(truncated(name, ids.length, removed));
        const inputs = { ids: row(ids), mask: row(mask) };
        const outputs = await encoder.run(
          manifest.inputs.map((input) => inputs[input]),
          signal,
        );
        result[name] = { ...inputs, ...named(outputs, ids.length, name, manifest) };
      }
    });
    await onProgress?.(++done, encoders.length);
  }
  return encoded;
}

function row(values: number[]): Tensor {
  return { data: BigInt64Array.from(values, BigInt), shape: [1, values.length], dtype: 'int64' };
}

function named(
  tensors: Tensor[],
  tokens: number,
  name: string,
  { outputs, width, pooledWidth }: TextEncoderManifest,
): Pick<EncodedText, 'sequence' | 'pooled'> {
  const shapes = { sequence: [1, tokens, width], pooled: [1, pooledWidth] };
  return Object.fromEntries(
    outputs.map((output, index) => {
      const received = tensors[index]?.shape.join(', ') ?? 'nothing';
      const expected = shapes[output].join(', ');
      if (received === expected) return [output, tensors[index]!];
      throw invalid(`The output '${output}' of the text encoder ${name}`, `[${expected}]`, received, {
        code: 'BUNDLE_INVALID',
        shown: `[${received}]`,
        note: 'what bundle.json says',
      });
    }),
  );
}

function truncated(encoder: string, length: number, removed: string): PromptTruncated {
  const shown = removed.length > 80 ? `${removed.slice(0, 79)}…` : removed;
  const message = `${encoder} takes ${length} tokens: it does not see the end of the prompt, '${shown}'.`;
  return { code: 'PROMPT_TRUNCATED', message, encoder, removed };
}
