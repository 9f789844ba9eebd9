/** The options of `pipeline.forward`. */
import { z } from 'zod';

import {
  checkPlace,
  editSchema,
  placeOptions,
  resolveEdit,
  sitesOf,
  type Edit,
  type EditContext,
  type Place,
} from '../guidance';
import type { NativeHook } from '../native';
import { describedBy } from '../validation/describedBy';
import { abortSignal, flag, strictObject } from '../validation/vocabulary';

/** What happens at a place during one call: hidden states are handed out, or edited, or both. */
export interface Hook extends Place {
  /** Give the hidden states in the result, as they arrive and before they are edited. Default: when there are no edits. */
  capture?: boolean;
  /** Edits, of all rows of the batch; one without a place of its own acts at the hook's. Default: none. */
  edits?: Edit[];
}

/** What `pipeline.forward` takes beside its inputs. */
export interface ForwardOptions {
  /** Hooks of this one call; nothing of them stays behind. Default: none. */
  hooks?: Hook[];
  /** Ends the run within one evaluation of the model; the call then rejects with an AbortError. */
  signal?: AbortSignal;
}

const hookSchema = describedBy<Hook>()(
  strictObject({
    ...placeOptions,
    capture: flag().optional(),
    edits: z.array(editSchema, { error: 'a list of edits' }).default([]),
  }),
);

export const forwardSchema = describedBy<ForwardOptions>()(
  strictObject({
    hooks: z.array(hookSchema, { error: 'a list of hooks' }).default([]),
    signal: abortSignal().optional(),
  }),
);

/**
 * The hook as the native side takes it: one for each site that captures, and one for each edit.
 *
 * @throws what resolveEdit throws
 */
export function resolveHook(option: string, hook: z.output<typeof hookSchema>, context: EditContext): NativeHook[] {
  const { capture, edits, ...place } = hook;
  checkPlace(option, place);
  const resolved = edits.flatMap((edit, at) => resolveEdit(`${option}.edits[${at}]`, edit, context, place));
  const captures = capture ?? edits.length === 0;
  const sites = captures ? sitesOf(option, { ...place, tap: place.tap ?? 'output' }, null, context) : [];
  return [
    ...sites.map((site): NativeHook => ({ ...site, capture: true, edits: [] })),
    ...resolved.map((edit): NativeHook => {
      const { path, tap, stream } = edit;
      return { path, tap, stream, capture: false, edits: [edit] };
    }),
  ];
}
