/** What is being typed is left alone, whatever else of the page changes, until it is finished. */
import { useSignal } from '@preact/signals';

type Typed = { currentTarget: HTMLInputElement };

/**
 * Properties of an input that shows `text`.
 *
 * @param finish told what was typed; where it makes nothing of it, the text is back
 */
export function useDraft(text: string, finish: (typed: string) => void) {
  const draft = useSignal<string | null>(null);
  return {
    value: draft.value ?? text,
    onInput: ({ currentTarget }: Typed) => (draft.value = currentTarget.value),
    onChange: ({ currentTarget }: Typed) => {
      finish(currentTarget.value);
      // An input whose text is no number says that it is empty, and is not written anew by itself.
      if (currentTarget.validity.badInput) currentTarget.value = '';
      draft.value = null;
    },
  };
}
