/** Guidance under a name: the bundle's own, and what the user saved. */
import { useSignal } from '@preact/signals';

import { Field } from '../controls/help';
import { bundle, takeDefaults } from '../state/bundles';
import { named, removePreset, saveAs, takePreset } from '../state/presets';

function take(name: string): void {
  const preset = named.value.find((entry) => entry.name === name);
  if (preset) takePreset(preset);
  else if (bundle.value) takeDefaults(bundle.value);
}

export function PresetFields() {
  const name = useSignal('');
  const chosen = useSignal('');
  return (
    <>
      <Field
        label="Take"
        hint="Scales, windows, layer, channels, ρ, steps and sampler. What is drawn, its size, what is painted and the seed stay as they are."
      >
        {({ id, describedBy }) => (
          <div class="with-buttons">
            <select
              id={id}
              aria-describedby={describedBy}
              value={chosen.value}
              onChange={({ currentTarget }) => (chosen.value = currentTarget.value)}
            >
              <option value="">the bundle’s own</option>
              {named.value.map((preset) => (
                <option key={preset.name} value={preset.name}>
                  {preset.name}
                </option>
              ))}
            </select>
            <button type="button" class="text-button" onClick={() => take(chosen.value)}>
              take
            </button>
            {chosen.value !== '' && (
              <button
                type="button"
                class="text-button"
                onClick={() => {
                  removePreset(chosen.value);
                  chosen.value = '';
                }}
              >
                delete
              </button>
            )}
          </div>
        )}
      </Field>
      <Field label="Save as" hint="In this browser, for all of its tabs; in place of one that has the name.">
        {({ id, describedBy }) => (
          <div class="with-buttons">
            <input
              type="text"
              id={id}
              aria-describedby={describedBy}
              maxLength={60}
              placeholder="a name"
              value={name.value}
              onInput={({ currentTarget }) => (name.value = currentTarget.value)}
            />
            <button
              type="button"
              class="text-button"
              disabled={name.value.trim() === ''}
              onClick={() => {
                saveAs(name.value.trim());
                chosen.value = name.value.trim();
                name.value = '';
              }}
            >
              save
            </button>
          </div>
        )}
      </Field>
    </>
  );
}
