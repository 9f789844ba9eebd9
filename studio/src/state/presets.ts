/** Settings under a name, kept in the browser. */
import { signal } from '@preact/signals';

import { followOtherTabs, recallJson, remember } from '../storage';

import { say } from './messages';
import { change, settings, type Settings } from './settings';
import { entriesOf, soundSettings } from './sound';

export interface NamedSettings {
  name: string;
  /** Guidance and sampling; what is drawn and painted, and from which seed, stays as it is. */
  part: Pick<Settings, 'cfg' | 'steps' | 'sampler'> & { detail: Omit<Settings['detail'], 'tokens'> };
}

function partOf({ cfg, detail: { tokens: _painted, ...detail }, steps, sampler }: Settings): NamedSettings['part'] {
  return { cfg, detail, steps, sampler };
}

function remembered(): NamedSettings[] {
  const list = recallJson('browser', 'presets');
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry) => {
    const { name, part } = entriesOf(entry);
    return typeof name === 'string' ? [{ name, part: partOf(soundSettings(part).settings) }] : [];
  });
}

export const named = signal<readonly NamedSettings[]>(remembered());

// What another tab has saved is not written over by this one.
followOtherTabs('presets', () => (named.value = remembered()));

function keep(list: readonly NamedSettings[]): void {
  named.value = list;
  if (!remember('browser', 'presets', JSON.stringify(list)))
    say('The browser keeps no more presets: they are here until the page is closed.');
}

/** In place of the one of the same name. */
export function saveAs(name: string): void {
  const others = named.value.filter((preset) => preset.name !== name);
  keep([...others, { name, part: partOf(settings.value) }]);
}

export function takePreset({ part }: NamedSettings): void {
  change({ ...part, detail: { ...settings.value.detail, ...part.detail } });
}

export function removePreset(name: string): void {
  keep(named.value.filter((preset) => preset.name !== name));
}
