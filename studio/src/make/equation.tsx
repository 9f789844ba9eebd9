/** The sum that a view computes, with the settings' own numbers. */
import type { PresetName } from '../api/types';
import { cfg, detail } from '../state/settings';

import { termsOf } from './terms';

const number = (value: number) => String(Number(value.toFixed(3)));

/** As high as letters: beside a number with a word under it they would grow with both. In words, since false is no attribute. */
const asLetters = { stretchy: 'false' } as object;
const Open = () => <mo {...asLetters}>(</mo>;
const Close = () => <mo {...asLetters}>)</mo>;

const Prediction = ({ of, sub }: { of: string; sub?: string }) => (
  <>
    {sub ? (
      <msub>
        <mi>D</mi>
        <mi>{sub}</mi>
      </msub>
    ) : (
      <mi>D</mi>
    )}
    <Open />
    <mi mathvariant="normal">{of}</mi>
    <Close />
  </>
);

const Difference = ({
  weight,
  symbol,
  name,
  of,
  sub,
}: Record<'weight' | 'symbol' | 'name' | 'of', string> & { sub?: string }) => (
  <mrow class={`term ${name}`}>
    <mspace width="0.3em" />
    <mo>+</mo>
    <mspace width="0.3em" />
    <munder>
      <mn>{weight}</mn>
      <mi>{symbol}</mi>
    </munder>
    <Open />
    <Prediction of="c" />
    <mo>−</mo>
    <Prediction of={of} sub={sub} />
    <Close />
  </mrow>
);

export function Equation({ view }: { view: PresetName }) {
  const { scale: s } = cfg.value;
  const { scale: w } = detail.value;
  const terms = termsOf(view);
  if (!terms) return null;
  return (
    <div class="equation">
      <math display="block" aria-label="The guided prediction">
        <mrow>
          <mover>
            <mi>D</mi>
            <mo>^</mo>
          </mover>
          <mo>=</mo>
          {terms.includes('disrupt') ? (
            <mrow class="term detail">
              <Prediction of="c" sub="m" />
            </mrow>
          ) : (
            <mrow class="term conditional">
              <Prediction of="c" />
            </mrow>
          )}
          {terms.includes('classifierFree') && (
            <Difference weight={number(s - 1)} symbol="λ = s − 1" name="cfg" of="∅" />
          )}
          {terms.includes('detail') && <Difference weight={number(w)} symbol="w" name="detail" of="c" sub="m" />}
        </mrow>
      </math>
    </div>
  );
}
