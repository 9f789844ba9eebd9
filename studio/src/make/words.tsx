/** What a newcomer has to know to see anything in the pictures. */
import type { PresetName } from '../api/types';
import { docstring } from '../controls/help';
import { isIntroduced } from '../state/introduction';

export function Introduction() {
  if (!isIntroduced.value) return null;
  return (
    <section class="block introduction" aria-label="Introduction">
      <p>
        <b>One seed, guided in several ways.</b> All pictures begin with the same noise, so what differs between them is
        the guidance alone. In a diffusion transformer a few channels are far stronger than all others: the{' '}
        <b>massive activations</b>. Without them the model still draws class and outline, and loses fine detail (
        <i>MA-disrupted</i>). <b>Detail Guidance</b> moves away from that picture, and so towards more detail; it can be
        combined with classifier-free guidance (<i>CFG</i>). No training is needed.
      </p>
      <p>
        Make the pictures, then move <i>Detail scale w</i>. Click a picture’s title to see what is computed for it.{' '}
        <button type="button" class="text-button" onClick={() => (isIntroduced.value = false)}>
          Close
        </button>
      </p>
    </section>
  );
}

const own: Partial<Record<PresetName, string>> = {
  conditional: 'What the model predicts for the class or the prompt, without any guidance.',
  disrupted: 'The model with its massive activations wiped: the outline stays, fine detail goes.',
  detail: 'Away from the model without massive activations, towards fine detail.',
  cfg: 'Away from the prediction without class or prompt: more of what was asked for.',
  'detail+cfg': 'Both together: more of what was asked for, and more fine detail.',
  'detail+cfg-fast': 'Both together; the model without massive activations is computed in every third step only.',
};

const options: Record<string, string> = { 'cfg-zero*': 'cfgZeroStar', 'cfg+rescale': 'rescale' };

/** A sentence about a technique; the option's own comment where the page has no better one. */
export const describe = (view: PresetName): string =>
  own[view] ?? docstring(`GuidanceOptions.${options[view] ?? view.replace('+cfg', '')}`);
