/** The steps in which a technique is on: a range on the step axis, with a thumb at each end. */
import { Field } from './help';
import { shareAt, stepAt } from './windowSteps';

interface WindowProps {
  label: string;
  /** Interface of the option, whose `start` is the help. */
  doc: string;
  start: number;
  stop: number;
  steps: number;
  colour: string;
  onChange: (window: { start: number; stop: number }) => void;
}

/** Steps that are drawn apart: more have no room for what is between them. */
const mostDrawn = 60;

export function WindowField({ label, doc, start, stop, steps, colour, onChange }: WindowProps) {
  const first = stepAt(start, steps);
  const beyond = stepAt(stop, steps);
  const said = beyond > first ? `steps ${first + 1} to ${beyond} of ${steps}` : 'never';
  return (
    <Field label={label} doc={`${doc}.start`} aside={said}>
      {({ id, describedBy }) => (
        <div class="window" style={{ '--from': start, '--to': stop, '--colour': colour }}>
          <div class={`window-track${steps > mostDrawn ? ' whole' : ''}`}>
            {Array.from({ length: steps }, (_, step) => (
              <i key={step} class={step >= first && step < beyond ? 'on' : ''} />
            ))}
          </div>
          <input
            type="range"
            id={id}
            aria-label={`${label}: first step`}
            aria-describedby={describedBy}
            aria-valuetext={said}
            min={0}
            max={steps}
            step={1}
            value={first}
            onInput={({ currentTarget }) => {
              const value = Math.min(Number(currentTarget.value), beyond);
              currentTarget.value = String(value);
              onChange({ start: shareAt(value, steps), stop });
            }}
          />
          <input
            type="range"
            aria-label={`${label}: step from which it is off`}
            aria-valuetext={said}
            min={0}
            max={steps}
            step={1}
            value={beyond}
            onInput={({ currentTarget }) => {
              const value = Math.max(Number(currentTarget.value), first);
              currentTarget.value = String(value);
              onChange({ start, stop: shareAt(value, steps) });
            }}
          />
        </div>
      )}
    </Field>
  );
}
