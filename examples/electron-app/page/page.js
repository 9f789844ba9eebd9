// The page knows the bridge and nothing else: no Node, no network, no file.
/** @type {import('detail-guidance/electron').Bridge} */
const detailGuidance = /** @type {any} */ (window).detailGuidance;

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);
/** @param {string} text */
const say = (text) => (element('state').textContent = text);

/** @type {import('detail-guidance/electron').Run | null} */
let run = null;
/** What is shown and was made here, with a name for its file. @type {{ png: Uint8Array, name: string } | null} */
let made = null;
/** @param {BlobPart} bytes */
function show(bytes) {
  const picture = element('picture');
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(new Blob([bytes]));
}

/** @param {boolean} running */
function setRunning(running) {
  element('make').disabled = running;
  element('stop').disabled = !running;
  element('save').disabled = running || made === null;
}

const info = await detailGuidance.info();
if (info.ok) {
  const { classes, name, device } = info.value;
  element('class').append(...classes.map((label) => new Option(label)));
  element('class').value = 'Sneaker';
  element('class').disabled = false;
  setRunning(false);
  say(`${name} on ${device}`);
} else {
  say(info.error.message);
}

element('form').addEventListener('submit', async (/** @type {Event} */ event) => {
  event.preventDefault();
  setRunning(true);
  const label = element('class').value;
  const number = (/** @type {string} */ id) => Number(element(id).value);
  run = detailGuidance.generate(
    {
      classLabel: label,
      seed: number('seed'),
      numInferenceSteps: number('steps'),
      guidance: { classifierFree: { scale: number('cfg') }, detail: { scale: number('detail') } },
    },
    {
      onStep: ({ step, steps, fraction }) => {
        element('progress').value = fraction;
        say(`step ${step} of ${steps}`);
      },
    },
  );
  const outcome = await run.outcome;
  run = null;
  if (outcome.ok) {
    const [picture] = outcome.value.images;
    made = picture ? { png: picture.png, name: `${label}-${picture.seed}.png` } : null;
    if (picture) show(/** @type {Uint8Array<ArrayBuffer>} */ (picture.png));
    say(`done: ${outcome.value.evaluations} evaluations`);
  } else {
    say(outcome.error.code === 'ABORT_ERR' ? 'stopped' : outcome.error.message);
  }
  element('progress').value = 0;
  setRunning(false);
});

element('stop').addEventListener('click', () => run?.stop());

element('open').addEventListener('click', async () => {
  const outcome = await detailGuidance.openPicture();
  if (!outcome.ok) return say(outcome.error.message);
  if (!outcome.value) return;
  const { name, bytes, options } = outcome.value;
  show(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  made = null;
  setRunning(run !== null);
  if (!options) return say(`${name} was made by another program`);
  // The settings that a picture was made with come back with it.
  const { classLabel, seed, numInferenceSteps, guidance } = options;
  const { classifierFree, detail } = typeof guidance === 'object' ? guidance : {};
  if (info.ok) element('class').value = info.value.classes[Number(classLabel)];
  element('seed').value = seed;
  element('steps').value = numInferenceSteps;
  element('cfg').value = classifierFree?.scale ?? 1;
  // There may be several; this page has a control for one.
  element('detail').value = (Array.isArray(detail) ? detail[0] : detail)?.scale ?? 0;
  say(`the settings of ${name}`);
});

element('save').addEventListener('click', async () => {
  if (!made) return;
  const outcome = await detailGuidance.savePicture(made.png, made.name);
  if (!outcome.ok) return say(outcome.error.message);
  if (outcome.value) say(`saved ${outcome.value}`);
});
