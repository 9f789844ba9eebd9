/** A sweep of one or two options as a contact sheet. */
import { computed, signal } from '@preact/signals';

import type { PresetName } from '../api/types';
import { Choice } from '../controls/choice';
import { Field } from '../controls/help';
import { bundle, isReady } from '../state/bundles';
import { describe } from '../make/words';
import { requestOf, titleOf } from '../state/request';
import { settings } from '../state/settings';
import { takeToMake } from '../state/takeOver';
import { hereOf, selected, techniques } from '../state/views';

import { ContactSheet, makeSheet, type Sheet, type SheetCell } from './contactSheet';
import { optionHere, optionsHere, parseValues, type SweptOption } from './options';

interface Axis {
  option: string;
  text: string;
}

const across = signal<Axis>({ option: 'detail.scale', text: '' });
const down = signal<Axis>({ option: 'detail.layer', text: '' });
const chosen = signal<PresetName>(selected.value);
const view = computed(() => hereOf(chosen.value));
/** Of the last time that it was made. */
const sheet = signal<Sheet | null>(null);
const most = 100;

const valuesOf = ({ option, text }: Axis): number[] | null => {
  const swept = optionHere(option);
  if (!swept) return null;
  return text.trim() === '' ? swept.suggested() : parseValues(text, swept);
};

const nameOf = (option: SweptOption, value: number) => option.nameOf?.(value) ?? String(value);

function sheetOf(): Sheet | null {
  const of = bundle.value;
  const x = optionHere(across.value.option);
  const y = optionHere(down.value.option);
  const columns = valuesOf(across.value);
  const rows = y ? valuesOf(down.value) : [null];
  if (!of || !x || !columns || !rows) return null;
  return {
    title: `${titleOf(view.value)}: ${x.label}${y ? ` and ${y.label}` : ''}, seed ${settings.value.seed}`,
    prefix: 'sweep/',
    columns: columns.map((value) => `${x.label} ${nameOf(x, value)}`),
    rows: rows.map((rowValue, row) => ({
      name: y && rowValue !== null ? `${y.label} ${nameOf(y, rowValue)}` : '',
      cells: columns.map((value, column): SheetCell => {
        const withRow = y && rowValue !== null ? y.apply(settings.value, rowValue) : settings.value;
        return {
          place: `sweep/${row}/${column}`,
          title: `${x.label} ${nameOf(x, value)}${y && rowValue !== null ? `, ${y.label} ${nameOf(y, rowValue)}` : ''}`,
          request: requestOf(x.apply(withRow, value), view.value, of),
        };
      }),
    })),
  };
}

function AxisFields({ label, axis, optional }: { label: string; axis: typeof across; optional?: boolean }) {
  const { text } = axis.value;
  const swept = optionHere(axis.value.option);
  const option = swept?.name ?? '';
  const values = valuesOf(axis.value);
  const choices = optionsHere().map(({ name, label: of }) => ({ value: name, label: of }));
  return (
    <div class="pair">
      <Choice
        label={label}
        doc={swept?.doc}
        value={option}
        options={optional ? [{ value: '', label: 'nothing' }, ...choices] : choices}
        onChange={(name) => (axis.value = { option: name, text: '' })}
      />
      {swept && (
        <Field
          label="Values"
          hint="A list of numbers; where it is empty, the one that stands there in grey."
          problem={values ? null : 'Numbers with commas between them.'}
        >
          {({ id, describedBy }) => (
            <input
              type="text"
              id={id}
              aria-describedby={describedBy}
              placeholder={swept.suggested().join(', ')}
              value={text}
              onInput={({ currentTarget }) => (axis.value = { option, text: currentTarget.value })}
            />
          )}
        </Field>
      )}
    </div>
  );
}

export function Sweep() {
  const next = sheetOf();
  const count = next?.rows.reduce((sum, { cells }) => sum + cells.length, 0) ?? 0;
  return (
    <section class="block" aria-label="Sweep">
      <div class="sweep-fields">
        <Choice
          label="Technique"
          hint={describe(view.value)}
          value={view.value}
          options={techniques.value.map((name) => ({ value: name, label: titleOf(name) }))}
          onChange={(name) => (chosen.value = name)}
        />
        <AxisFields label="Across" axis={across} />
        <AxisFields label="Down" axis={down} optional />
      </div>
      <div class="row">
        <button
          type="button"
          class="primary"
          disabled={!next || !isReady.value || count > most}
          onClick={() => {
            sheet.value = next;
            if (next) makeSheet(next);
          }}
        >
          {count === 1 ? 'Make the picture' : `Make ${count} pictures`}
        </button>
        {count > most && <p class="problem">A sheet has at most {most} pictures.</p>}
      </div>
      {sheet.value ? (
        <ContactSheet sheet={sheet.value} onPick={({ request }) => takeToMake(request.bundle!, request)} />
      ) : (
        <p class="place-holder">
          The sheet fills in as the pictures are made. All have the seed {settings.value.seed}.
        </p>
      )}
    </section>
  );
}
