/** Numbers: a field, and a slider with a field beside it. */
import { useDraft } from './draft';
import { Field } from './help';

interface NumberProps {
  label: string;
  doc?: string;
  hint?: string;
  /** Stands at the right of the label. */
  aside?: string;
  value: number;
  min: number;
  max: number;
  step: number;
  problem?: string | null;
  onChange: (value: number) => void;
}

interface InputProps extends Omit<NumberProps, 'doc' | 'hint' | 'aside' | 'problem'> {
  id?: string;
  describedBy?: string;
  hideLabel?: boolean;
}

function NumberInput({ label, value, min, max, step, onChange, id, describedBy, hideLabel }: InputProps) {
  const draft = useDraft(String(value), (typed) => {
    const number = Number(typed);
    if (typed !== '' && Number.isFinite(number)) onChange(Math.min(max, Math.max(min, number)));
  });
  return (
    <input
      type="number"
      id={id}
      aria-label={hideLabel ? label : undefined}
      aria-describedby={describedBy}
      min={min}
      max={max}
      step={step}
      {...draft}
    />
  );
}

export function NumberField(props: NumberProps) {
  return (
    <Field label={props.label} doc={props.doc} hint={props.hint} aside={props.aside} problem={props.problem}>
      {(ids) => <NumberInput {...props} {...ids} />}
    </Field>
  );
}

/** The slider has the usual range; the field beside it takes all that the option takes. */
export function Slider({ usual, ...props }: NumberProps & { usual: readonly [low: number, high: number] }) {
  const { label, value, step, onChange } = props;
  return (
    <Field label={label} doc={props.doc} hint={props.hint} problem={props.problem}>
      {({ id, describedBy }) => (
        <div class="slider">
          <input
            type="range"
            id={id}
            aria-describedby={describedBy}
            value={value}
            min={usual[0]}
            max={usual[1]}
            step={step}
            onInput={({ currentTarget }) => onChange(Number(currentTarget.value))}
          />
          <NumberInput {...props} label={`${label}, as a number`} hideLabel />
        </div>
      )}
    </Field>
  );
}
