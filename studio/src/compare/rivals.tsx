/** Other techniques at the cost of Detail Guidance: each takes as many steps as the same number of blocks allows. */
import { signal } from '@preact/signals';

import type { ImageRequest, PresetName } from '../api/types';
import { bundle, isReady } from '../state/bundles';
import { stepsOf } from '../state/inside';
import { planFor } from '../state/plans';
import { requestOf, titleOf } from '../state/request';
import { settings } from '../state/settings';
import { takeToMake } from '../state/takeOver';
import { hereOf, techniques } from '../state/views';

import { ContactSheet, makeSheet, type Sheet, type SheetCell } from './contactSheet';

const reference = () => hereOf('detail+cfg');
const rivals = () => [...new Set(names.map(hereOf))].filter((name) => techniques.value.includes(name));
const names = [
  'detail+cfg',
  'detail+cfg-fast',
  'cfg',
  'slg+cfg',
  'pag+cfg',
  'seg+cfg',
  'tpg+cfg',
  's2+cfg',
  'blur+cfg',
  'apg',
  'cfg-zero*',
  'cfg+rescale',
] as const satisfies PresetName[];

const sheet = signal<Sheet | null>(null);
const problem = signal<string | null>(null);
const isPlanning = signal(false);

/** Blocks of a request, as the server plans it. */
const blocksOf = async (request: ImageRequest): Promise<number> => (await planFor(request)).explanation.blocks;

/** Of the settings as they are now, whatever becomes of them while the server plans. */
async function plan(): Promise<Sheet | null> {
  const chosen = bundle.value;
  if (!chosen) return null;
  const [from, first, all] = [settings.value, reference(), rivals()];
  const requestFor = (view: PresetName, steps: number) => requestOf({ ...from, steps }, view, chosen);
  const steps = stepsOf(from, chosen);
  const budget = await blocksOf(requestFor(first, steps));
  const cells: SheetCell[] = [];
  for (const view of all) {
    let own = steps;
    let blocks = await blocksOf(requestFor(view, own));
    // Windows are shares of the steps: the cost is not quite proportional, and a second look is enough.
    for (let look = 0; look < 2; look++) {
      own = Math.max(1, Math.round((own * budget) / blocks));
      blocks = await blocksOf(requestFor(view, own));
    }
    cells.push({
      place: `rivals/${view}`,
      title: `${titleOf(view)}, ${own} steps`,
      request: requestFor(view, own),
      caption: `${titleOf(view)}: ${own} steps, ${((100 * blocks) / budget).toFixed(0)} % of the blocks`,
    });
  }
  const inRow = 4;
  const rows = Array.from({ length: Math.ceil(cells.length / inRow) }, (_, row) => ({
    name: '',
    cells: cells.slice(row * inRow, (row + 1) * inRow),
  }));
  return {
    title: `Techniques at the cost of ${titleOf(first)}, seed ${from.seed}`,
    prefix: 'rivals/',
    columns: [],
    rows,
  };
}

export function Rivals() {
  return (
    <section class="block" aria-label="Rivals at equal cost">
      <p class="note">
        {titleOf(reference())} with the settings of the first page, and the other techniques with the defaults of their
        publications, the same CFG scale and seed. Each takes as many steps as {titleOf(reference())}’s number of blocks
        allows.
      </p>
      <div class="row">
        <button
          type="button"
          class="primary"
          disabled={!isReady.value || isPlanning.value}
          onClick={() => {
            problem.value = null;
            isPlanning.value = true;
            plan()
              .then((next) => {
                sheet.value = next;
                if (next) makeSheet(next);
              })
              .catch((error: unknown) => (problem.value = error instanceof Error ? error.message : String(error)))
              .finally(() => (isPlanning.value = false));
          }}
        >
          {isPlanning.value ? 'Planning…' : 'Make them'}
        </button>
      </div>
      {problem.value !== null && <p class="problem">{problem.value}</p>}
      {sheet.value ? (
        <ContactSheet sheet={sheet.value} onPick={({ request }) => takeToMake(request.bundle!, request)} />
      ) : (
        <p class="place-holder">At equal steps a technique with a branch more always looks as if it were better.</p>
      )}
    </section>
  );
}
