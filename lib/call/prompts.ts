/** The prompts of a call become the conditioning tensors of its branches. */
import type { OpenBundle, TextConditioningManifest } from '../bundle';
import type { Components } from '../model/components';
import { invalid } from '../validation/invalid';
import { textOf } from './generation';
import type { GenerateRequest } from '../request/generateOptions';
import type { Plan } from '../plan';
import type { NegativePromptUnused } from '../request/warning';
import { encodePrompts, joinText } from '../text';
import type { Tensor } from '../tensor';

/**
 * Checks the options that have to do with text.
 *
 * @throws BAD_OPTION
 */
export function checkPrompts(request: GenerateRequest, { conditioning }: Pick<OpenBundle, 'conditioning'>): void {
  const { prompt, negativePrompt, maxSequenceLength } = request;
  if (conditioning.kind !== 'text') {
    const options = Object.entries({ prompt, negativePrompt, maxSequenceLength });
    const [option, value] = options.find(([, value]) => value !== undefined) ?? [];
    if (option === undefined) return;
    const instead = conditioning.kind === 'class' ? "'classLabel'" : "'conditioning' with tensors";
    throw invalid(`options.${option}`, 'nothing', value, {
      note: `this model has no text encoders; it takes ${instead}`,
    });
  }
  if (prompt === undefined) {
    if (!request.conditioning) throw invalid('options.prompt', 'a text', prompt);
    refuseAny({ negativePrompt, maxSequenceLength }, 'nothing without a prompt');
    return;
  }
  const { conditioning: given, negativeConditioning } = request;
  refuseAny({ conditioning: given, negativeConditioning }, 'nothing beside a prompt');
  if (Array.isArray(negativePrompt)) {
    const prompts = Array.isArray(prompt) ? prompt.length : 1;
    if (negativePrompt.length !== prompts) {
      throw invalid('options.negativePrompt', `one text, or one for each of ${prompts} prompts`, negativePrompt, {
        shown: `${negativePrompt.length} texts`,
      });
    }
  }
  const most = conditioning.maxSequenceLength?.maximum;
  if (maxSequenceLength !== undefined && (most === undefined || maxSequenceLength > most)) {
    const expected = most === undefined ? 'nothing' : `at most ${most}`;
    throw invalid('options.maxSequenceLength', expected, maxSequenceLength);
  }
}

/** What would be given and not seen. */
function refuseAny(options: Record<string, unknown>, expected: string): void {
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined) throw invalid(`options.${option}`, expected, value);
  }
}

const unusedNegativePrompt: NegativePromptUnused = {
  code: 'NEGATIVE_PROMPT_UNUSED',
  message:
    'options.negativePrompt has no effect: this guidance does not evaluate the unconditional branch; classifierFree with a scale above 1 does.',
};

function asTexts(prompts: string | string[] | undefined): string[] {
  return typeof prompts === 'string' ? [prompts] : (prompts ?? []);
}

/**
 * The request with its prompts as tensors: `conditioning`, and `negativeConditioning` where the plan evaluates the
 * unconditional branch. A request without prompt is given back as it is.
 *
 * @throws what the text encoders throw; ABORT_ERR; what the callbacks throw
 */
export async function encodeRequest(
  request: GenerateRequest,
  plan: Plan,
  bundle: OpenBundle,
  components: Components,
): Promise<GenerateRequest> {
  const { prompt, negativePrompt = '', onProgress, onWarning, signal } = request;
  const { conditioning } = bundle;
  if (conditioning.kind !== 'text' || prompt === undefined) return request;
  const unconditional = plan.branches.some((branch) => branch.conditioning === 'unconditional');
  const isSeen = unconditional || !asTexts(request.negativePrompt).some((text) => text !== '');
  if (!isSeen) await onWarning?.(unusedNegativePrompt);
  const images = Array.from({ length: plan.images }, (_, image) => image);
  const positive = images.map((image) => textOf(prompt, image, plan.images));
  const negative = unconditional ? images.map((image) => textOf(negativePrompt, image, plan.images)) : null;
  const maxSequenceLength = request.maxSequenceLength ?? conditioning.maxSequenceLength?.default ?? 0;
  const encoded = await encodePrompts([...positive, ...(negative ?? [])], {
    bundle,
    tokenizers: components.tokenizers,
    maxSequenceLength,
    withEncoder: (name, use) => components.with(name, use, signal),
    onWarning,
    onProgress: onProgress && ((done, total) => onProgress({ phase: 'text', done, total })),
    signal,
  });
  const joined = (texts: string[]) =>
    joinAll(texts, conditioning, (text, expression) =>
      joinText(expression, { encoded: encoded.get(text)!, maxSequenceLength }),
    );
  return {
    ...request,
    conditioning: joined(positive),
    ...(negative ? { negativeConditioning: joined(negative) } : {}),
  };
}

/** For every input that depends on the prompt a tensor with a row for each text, or one where all texts are the same. */
function joinAll(
  texts: string[],
  { inputs }: TextConditioningManifest,
  join: (text: string, expression: TextConditioningManifest['inputs'][string]) => Tensor | null,
): Record<string, Tensor> {
  const different = new Set(texts).size === 1 ? texts.slice(0, 1) : texts;
  return Object.fromEntries(
    Object.entries(inputs).flatMap(([name, expression]): [string, Tensor][] => {
      const rows = different.map((text) => join(text, expression));
      return rows[0] ? [[name, stack(rows as Tensor[])]] : [];
    }),
  );
}

/** Tensors of one row as one tensor. */
function stack(rows: Tensor[]): Tensor {
  const [first] = rows as [Tensor];
  if (rows.length === 1) return first;
  const size = first.data.length;
  const shape = [rows.length, ...first.shape.slice(1)];
  if (first.data instanceof BigInt64Array) {
    const data = new BigInt64Array(size * rows.length);
    rows.forEach((row, index) => data.set(row.data as BigInt64Array, index * size));
    return { data, shape, dtype: first.dtype };
  }
  const data = new Float32Array(size * rows.length);
  rows.forEach((row, index) => data.set(row.data as Float32Array, index * size));
  return { data, shape, dtype: first.dtype };
}
