/** ρ_t: what is left of the massive activations, as a number or as a curve over the steps. */
import type { Retention } from '../api/types';
import { Curve } from '../charts/curve';
import { Choice } from '../controls/choice';
import { NumberField, Slider } from '../controls/number';
import { plans } from '../state/plans';
import { changeDetail, detail } from '../state/settings';

type Kind = 'constant' | 'linear' | 'cosine' | 'table';

const kinds: { value: Kind; label: string }[] = [
  { value: 'constant', label: 'the same in all steps' },
  { value: 'linear', label: 'a straight line' },
  { value: 'cosine', label: 'half a cosine' },
  { value: 'table', label: 'drawn' },
];

const kindOf = (retention: Retention): Kind => (typeof retention === 'number' ? 'constant' : retention.kind);

/** The ends of one form become those of another. */
function as(kind: Kind, retention: Retention): Retention {
  const [data, noise] =
    typeof retention === 'number'
      ? [retention, retention]
      : retention.kind === 'table'
        ? [retention.values[0]!, retention.values.at(-1)!]
        : [retention.data, retention.noise];
  if (kind === 'constant') return data;
  if (kind !== 'table') return { kind, data, noise: typeof retention === 'number' ? 1 : noise };
  const times = [0, 0.25, 0.5, 0.75, 1];
  return { kind, times, values: times.map((time) => Math.round((data + (noise - data) * time) * 100) / 100) };
}

/** ρ in every evaluation, as the server planned it. */
function planned(): { time: number; value: number }[] {
  for (const answer of Object.values(plans.value)) {
    const edit = answer?.planned?.plan.edits.find(({ operation }) => operation === 'retain');
    if (!edit?.retention) continue;
    const rho = edit.retention as ArrayLike<number>;
    return answer!.planned!.plan.steps.map(({ time }, index) => ({ time, value: rho[index] ?? rho[0]! }));
  }
  return [];
}

export function RetentionFields() {
  const { retention } = detail.value;
  const set = (value: Retention) => changeDetail({ retention: value });
  const kind = kindOf(retention);
  return (
    <>
      <Choice
        label="Retention ρ over time"
        doc="DisruptionOptions.retention"
        value={kind}
        options={kinds}
        onChange={(chosen) => set(as(chosen, retention))}
      />
      {typeof retention === 'number' && (
        <Slider label="ρ" value={retention} usual={[0, 1]} min={-10} max={10} step={0.05} onChange={set} />
      )}
      {typeof retention === 'object' && retention.kind !== 'table' && (
        <div class="pair">
          <NumberField
            label="ρ at the noise"
            doc="RetentionCurve.noise"
            value={retention.noise}
            min={-10}
            max={10}
            step={0.05}
            onChange={(noise) => set({ ...retention, noise })}
          />
          <NumberField
            label="ρ at the picture"
            doc="RetentionCurve.data"
            value={retention.data}
            min={-10}
            max={10}
            step={0.05}
            onChange={(data) => set({ ...retention, data })}
          />
        </div>
      )}
      {kind !== 'constant' && (
        <Curve
          points={planned()}
          handles={
            typeof retention === 'object' && retention.kind === 'table'
              ? retention.times.map((time, index) => ({ time, value: retention.values[index]! }))
              : []
          }
          onDrag={(index, value) => {
            if (typeof retention !== 'object' || retention.kind !== 'table') return;
            set({ ...retention, values: retention.values.map((old, at) => (at === index ? value : old)) });
          }}
        />
      )}
    </>
  );
}
