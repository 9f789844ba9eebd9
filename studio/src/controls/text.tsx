/** A prompt. */
import { Field } from './help';

interface TextProps {
  label: string;
  doc?: string;
  value: string;
  rows?: number;
  placeholder?: string;
  problem?: string | null;
  onChange: (value: string) => void;
}

export function TextField({ label, doc, value, rows = 3, placeholder, problem, onChange }: TextProps) {
  return (
    <Field label={label} doc={doc} problem={problem}>
      {({ id, describedBy }) => (
        <textarea
          id={id}
          aria-describedby={describedBy}
          rows={rows}
          dir="auto"
          placeholder={placeholder}
          value={value}
          onInput={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )}
    </Field>
  );
}
