/** The plan's own explanation as a time line: which branch is evaluated when, with which weight, and what it costs. */
import type { Planned } from '../api/types';

import { colourOfBranch } from './colours';

const laneHeight = 30;
const gap = 6;
const plot = { width: 640, left: 0 };

const signed = (weight: number) => `${weight < 0 ? '−' : '+'} ${Math.abs(Number(weight.toPrecision(3)))}`;

export function TimeLine({ planned, at }: { planned: Planned; at: number | null }) {
  const { plan, explanation } = planned;
  const { evaluations, steps, costOverClassifierFree, blocks } = explanation;
  const cell = plot.width / evaluations;
  const names = plan.branches.map(({ name }) => name);
  const height = names.length * (laneHeight + gap);
  return (
    <figure class="time-line">
      <div class="lanes">
        <ul class="lane-names">
          {names.map((name) => (
            <li key={name} style={{ '--colour': colourOfBranch(name) }}>
              <b>{name.replace(/ \(.*/, '')}</b>
              <span>{/\((.*)\)/.exec(name)?.[1] ?? ''}</span>
            </li>
          ))}
        </ul>
        <div class="lane-plot">
          <svg
            viewBox={`0 0 ${plot.width} ${height}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={explanation.text}
          >
            {steps.flatMap(({ from, to, branches }) =>
              branches.map(({ name, blocks: own, reused }) => {
                const y = names.indexOf(name) * (laneHeight + gap);
                const share = own / plan.layers;
                const x = from * cell;
                const width = (to - from + 1) * cell - 1;
                const colour = colourOfBranch(name);
                return (
                  <g key={`${from} ${name}`}>
                    <rect x={x} y={y} width={width} height={laneHeight} fill={colour} opacity={0.16} />
                    <rect
                      x={x}
                      y={y + laneHeight * (1 - share)}
                      width={width}
                      height={laneHeight * share}
                      fill={colour}
                      opacity={reused ? 0 : 0.85}
                    />
                  </g>
                );
              }),
            )}
            {at !== null && (
              <line x1={at * cell} x2={at * cell} y1={0} y2={height} class="now" vector-effect="non-scaling-stroke" />
            )}
          </svg>
          {steps.flatMap(({ from, to, branches }) =>
            branches.map(({ name, weight, blocks: own, reused }) => (
              <span
                key={`${from} ${name}`}
                class="lane-text"
                style={{
                  top: `${names.indexOf(name) * (laneHeight + gap)}px`,
                  left: `${(from / evaluations) * 100}%`,
                  width: `${((to - from + 1) / evaluations) * 100}%`,
                }}
              >
                <b>{signed(weight)}</b>
                <i>{reused ? 'reused' : own < plan.layers ? `${own} of ${plan.layers} blocks, the rest shared` : ''}</i>
              </span>
            )),
          )}
        </div>
      </div>
      <div class="axis" aria-hidden="true">
        <span>noise · step 1</span>
        <span>step {plan.numInferenceSteps} · picture</span>
      </div>
      <figcaption>
        <strong>{costOverClassifierFree.toFixed(2)}×</strong> the blocks of plain classifier-free guidance: {blocks}{' '}
        blocks in {evaluations} evaluations of {plan.layers}.
      </figcaption>
    </figure>
  );
}
