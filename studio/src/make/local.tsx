/** Local Detail Guidance: the tokens at which massive activations are disrupted, painted on the picture. */
import { docstring, formatted } from '../controls/help';
import { MaskPainter } from '../controls/maskPainter';
import { bundle } from '../state/bundles';
import { plans } from '../state/plans';
import { problemAt } from '../state/problems';
import { runAt } from '../state/runs';
import { changeDetail, detail } from '../state/settings';
import { selected } from '../state/views';

import { pictureSize, placeOf } from './viewCard';

/** Rows and columns of the image tokens at the size that is asked for. */
export function tokenGrid(): readonly [rows: number, columns: number] {
  const planned = Object.values(plans.value).find((answer) => answer?.planned)?.planned;
  return planned?.plan.size.tokenGrid ?? bundle.value?.tokenGrid ?? [1, 1];
}

export function LocalFields() {
  if (!bundle.value) return null;
  const [rows, columns] = tokenGrid();
  const problem = problemAt('guidance.detail.tokens');
  return (
    <>
      <p class="note">
        {formatted(docstring('DisruptionOptions.tokens'))} Paint where detail is to be guided; nothing painted means
        everywhere.
      </p>
      <MaskPainter
        label="Tokens that are disrupted"
        picture={runAt(placeOf(selected.value))?.picture ?? null}
        {...pictureSize()}
        rows={rows}
        columns={columns}
        mask={detail.value.tokens}
        onChange={(tokens) => changeDetail({ tokens })}
      />
      {problem && <p class="problem">{problem}</p>}
    </>
  );
}
