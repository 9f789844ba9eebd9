/** One of several. */
import { Field } from './help';

interface ChoiceProps<Value extends string> {
  label: string;
  doc?: string;
  hint?: string;
  value: Value;
  options: readonly { value: Value; label: string }[];
  problem?: string | null;
  onChange: (value: Value) => void;
}

export function Choice<Value extends string>(props: ChoiceProps<Value>) {
  const { label, doc, hint, value, options, problem, onChange } = props;
  return (
    <Field label={label} doc={doc} hint={hint} problem={problem}>
      {({ id, describedBy }) => (
        <select
          id={id}
          aria-describedby={describedBy}
          value={value}
          onChange={({ currentTarget }) => onChange(currentTarget.value as Value)}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
