/** Pictures in rows and columns, which fill in as they are made. */
import type { ImageRequest } from '../api/types';
import { Picture } from '../controls/picture';
import { exportHtml } from '../copy/html';
import { saveFile } from '../host';
import { start, stopAll } from '../state/making';
import { activeIn, isActive, runs } from '../state/runs';
import { pictureSize } from '../make/viewCard';

export interface SheetCell {
  place: string;
  /** For the export, and for who does not see the table. */
  title: string;
  request: ImageRequest;
  /** Under the picture. */
  caption?: string;
}

export interface Sheet {
  title: string;
  prefix: string;
  rows: readonly { name: string; cells: readonly SheetCell[] }[];
  columns: readonly string[];
}

const inWords = (count: number) => `${count} ${count === 1 ? 'picture' : 'pictures'}`;

export function makeSheet({ prefix, rows }: Sheet): void {
  stopAll(prefix);
  for (const { cells } of rows) for (const { place, request } of cells) start(place, request);
}

export function ContactSheet({ sheet, onPick }: { sheet: Sheet; onPick: (cell: SheetCell) => void }) {
  const { title, prefix, rows, columns } = sheet;
  const size = pictureSize();
  const cells = rows.flatMap((row) => row.cells);
  const done = cells.filter(({ place }) => runs.value[place]?.state === 'done').length;
  const active = activeIn(prefix).length;
  const hasNames = rows.some(({ name }) => name !== '');
  return (
    <>
      <div class="row">
        <p class="note" aria-live="polite">
          {active > 0 ? `${done} of ${cells.length} pictures` : done > 0 ? inWords(done) : ''}
        </p>
        <span class="spacer" />
        <button type="button" class="secondary" disabled={active === 0} onClick={() => stopAll(prefix)}>
          Stop
        </button>
        <button
          type="button"
          class="secondary"
          disabled={done === 0}
          onClick={() =>
            void saveFile(
              'comparison.html',
              exportHtml(
                title,
                Math.max(...rows.map((row) => row.cells.length)),
                cells.map(({ place, title: caption, request }) => ({
                  title: caption,
                  request,
                  png: runs.value[place]?.png ?? null,
                  ...size,
                })),
              ),
            )
          }
        >
          Save as HTML
        </button>
      </div>
      <div class="sheet-scroll" tabIndex={0} role="region" aria-label={title}>
        <table class="sheet">
          {columns.some(Boolean) && (
            <thead>
              <tr>
                {hasNames && <td />}
                {columns.map((name, at) => (
                  <th key={at} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
          )}
          <tbody>
            {rows.map(({ name, cells: inRow }, at) => (
              <tr key={at}>
                {hasNames && <th scope="row">{name}</th>}
                {inRow.map((cell) => {
                  const run = runs.value[cell.place];
                  return (
                    <td key={cell.place}>
                      <button
                        type="button"
                        aria-label={`${cell.title}: take these settings`}
                        title="Take these settings"
                        onClick={() => onPick(cell)}
                      >
                        <div class={`frame${isActive(run) ? ' active' : ''}`}>
                          <Picture src={run?.picture ?? null} alt={cell.title} {...size} />
                          <div class="progress" style={{ '--share': run?.steps ? run.step / run.steps : 0 }} />
                        </div>
                        {cell.caption !== undefined && <small>{cell.caption}</small>}
                      </button>
                      {run?.problem && <p class="problem">{run.problem.message}</p>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
