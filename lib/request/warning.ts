/** What `onWarning` is told. */
import type { PromptTruncated } from '../text';
import type { PictureTiled } from '../vae';

/** Guidance without an unconditional branch: nothing sees the negative prompt. */
export interface NegativePromptUnused {
  /** Names the kind of warning. */
  code: 'NEGATIVE_PROMPT_UNUSED';
  /** A whole sentence, for people. */
  message: string;
}

/** What the caller should know and that does not stop the call. */
export type Warning = PromptTruncated | NegativePromptUnused | PictureTiled;
