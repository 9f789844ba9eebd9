/** Guidance under a name: the bundle's own, and what the user saved. */
import { useSignal } from '@preact/signals';

import { Field } from '../controls/help';
import { bundle, takeDefaults } from '../state/bundles';
import { named, removePreset, saveAs, takePreset } from '../state/presets';

export function PresetFields() {
  const name = useSignal('');
  const chosen = useSignal('');
  return (
    <>
      <Field
        label="Take"
        hint="Scales, windows, layer, channels, ρ, steps and sampler. What is drawn, and the seed, stay as they are."
      >
        {({ id, describedBy }) => (
          <div class="with-buttons">
            <select
              id={id}
              aria-describedby={describedBy}
              value={chosen.value}
              onChange={({ currentTarget: { value } }) => {
                chosen.value = value;
                const preset = named.value.find((entry) => entry.name === value);
                if (preset) takePreset(preset);
                else if (bundle.value) takeDefaults(bundle.value);
              }}
            >
              <option value="">the bundle’s own</option>
              {named.value.map((preset) => (
                <option key={preset.name} value={preset.name}>
                  {preset.name}
                </option>
              ))}
            </select>
            {chosen.value === '' ? (
              <button
                type="button"
                class="text-button"
                disabled={!bundle.value}
                onClick={() => bundle.value && takeDefaults(bundle.value)}
              >
                reset
              </button>
            ) : (
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
