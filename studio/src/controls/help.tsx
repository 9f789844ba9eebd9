/** The facade's own comments, shown beside the control that they are about. */
import texts from 'virtual:docstrings';
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** Of `DetailOptions.scale`; empty for what has none. */
export const docstring = (name: string): string => texts[name] ?? '';

/** A text of the sources: backticks are code. */
export function formatted(text: string): ComponentChildren {
  return text.split('`').map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

export interface FieldProps {
  label: ComponentChildren;
  /** Of the docstring, `DetailOptions.scale`. */
  doc?: string;
  /** In place of a docstring, for what the facade does not have. */
  hint?: string;
  /** Stands at the right of the label. */
  aside?: ComponentChildren;
  problem?: string | null;
  children: (ids: { id: string; describedBy: string | undefined }) => ComponentChildren;
}

/** A control with its label, its help and what is wrong with it. */
export function Field({ label, doc, hint, aside, problem, children }: FieldProps) {
  const id = useId();
  const open = useSignal(false);
  const text = hint ?? (doc === undefined ? '' : docstring(doc));
  const describedBy = [text && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(' ') || undefined;
  return (
    <div class={`field${problem ? ' wrong' : ''}`}>
      <div class="field-head">
        <label id={`${id}-label`} for={id}>
          {label}
        </label>
        {text !== '' && (
          <button
            type="button"
            class="help"
            aria-label="Help"
            aria-describedby={`${id}-label`}
            aria-expanded={open.value}
            aria-controls={`${id}-help`}
            onClick={() => (open.value = !open.value)}
          >
            ?
          </button>
        )}
        {aside !== undefined && <span class="aside">{aside}</span>}
      </div>
      {children({ id, describedBy })}
      {text !== '' && (
        <p id={`${id}-help`} class="help-text" hidden={!open.value}>
          {formatted(text)}
        </p>
      )}
      {problem && (
        <p id={`${id}-problem`} class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
