/** One view of the settings: its picture, live, and what it costs. */
import { CloseIcon } from '../controls/icons';
import { Picture } from '../controls/picture';
import type { PresetName } from '../api/types';
import { bundle, isReady } from '../state/bundles';
import { plans } from '../state/plans';
import { subjectInWords, titleOf } from '../state/request';
import { inWords } from '../state/problems';
import { start, stop } from '../state/making';
import { isActive, runAt, type Run } from '../state/runs';
import { settings } from '../state/settings';
import { requestOf } from '../state/request';
import { secondsLeft } from '../state/timeLeft';
import { removeView, select, selected, views } from '../state/views';

export const placeOf = (view: PresetName) => `make/${view}`;

/** The size in pixels that the settings ask for. */
export function pictureSize(): { width: number; height: number } {
  const { width, height } = settings.value;
  const size = bundle.value?.size;
  return { width: width ?? size?.width ?? 1, height: height ?? size?.height ?? 1 };
}

function stateInWords(run: Run | undefined): string {
  switch (run?.state) {
    case 'waiting':
    case 'queued':
      return 'waits';
    case 'running': {
      const left = secondsLeft(run, performance.now());
      const time = left === null || left < 1 ? '' : `, ${Math.ceil(left)} s left`;
      return run.steps === null ? 'begins' : `step ${run.step} of ${run.steps}${time}`;
    }
    case 'done':
      return run.seconds === null ? 'done' : `${run.seconds.toFixed(run.seconds < 10 ? 1 : 0)} s`;
    case 'failed':
      return 'failed';
    case 'stopped':
      return 'stopped';
    default:
      return '';
  }
}

export function ViewCard({ view }: { view: PresetName }) {
  const run = runAt(placeOf(view));
  const answer = plans.value[view];
  const cost = answer?.planned?.explanation.costOverClassifierFree;
  const isSelected = selected.value === view;
  const title = titleOf(view);
  // Before it is tried, what the plan says.
  const problem = isActive(run) ? null : (run?.problem ?? answer?.problem ?? null);
  const chosen = bundle.value;
  const of = run?.pictureOf;
  const share = run && isActive(run) && run.steps ? run.step / run.steps : 0;
  return (
    <article class={`card${isSelected ? ' selected' : ''}`} data-view={view}>
      <header>
        <button type="button" class="title" aria-pressed={isSelected} onClick={() => select(view)}>
          {title}
        </button>
        {views.value.length > 1 && (
          <button
            type="button"
            class="icon-button small"
            aria-label={`Remove ${title}`}
            onClick={() => removeView(view)}
          >
            <CloseIcon />
          </button>
        )}
      </header>
      <div class={`frame${isActive(run) ? ' active' : ''}`}>
        <Picture
          src={run?.picture ?? null}
          alt={of ? `${title}: ${subjectInWords(of, chosen)}, seed ${String(of.seed)}` : ''}
          {...pictureSize()}
        />
        {problem && <p class="over problem">{inWords(problem)}</p>}
        <div class="progress" style={{ '--share': share }} />
      </div>
      <footer>
        <span class="state">{stateInWords(run)}</span>
        {cost !== undefined && !isActive(run) && (
          <span class="cost" title="Blocks of the model, in units of plain classifier-free guidance">
            {cost.toFixed(2)}×
          </span>
        )}
        {isActive(run) ? (
          <button type="button" class="text-button" aria-label={`Stop ${title}`} onClick={() => stop(placeOf(view))}>
            stop
          </button>
        ) : (
          <button
            type="button"
            class="text-button"
            disabled={!isReady.value}
            aria-label={`Make ${title}`}
            onClick={() => chosen && start(placeOf(view), requestOf(settings.value, view, chosen))}
          >
            make
          </button>
        )}
      </footer>
      {run?.warnings.map((warning) => (
        <p key={warning} class="note">
          {warning}
        </p>
      ))}
    </article>
  );
}
