/** What `onWarning` is told. */
import type { PromptTruncated } from '../text';
import type { PictureTiled } from '../vae';
import type { WarningOf } from '../validation/ofKind';

/** Guidance without an unconditional branch: nothing sees the negative prompt. */
export type NegativePromptUnused = WarningOf<'NEGATIVE_PROMPT_UNUSED'>;

/** What the caller should know and that does not stop the call. */
export type Warning = PromptTruncated | NegativePromptUnused | PictureTiled;
