// What a call would do, without running the model: branches, and their weights in every step. CommonJS works too.
const { loadPipeline } = require('detail-guidance');

async function main() {
  const pipeline = await loadPipeline('embedded');
  const { branches, steps } = pipeline.plan({
    classLabel: 0,
    numInferenceSteps: 10,
    guidance: { classifierFree: { scale: 2 }, detail: { scale: 0.3, start: 0.2, stop: 0.8 } },
  });
  for (const [index, { name, conditioning }] of branches.entries()) {
    const weights = steps.map((step) => step.weights[index].toFixed(1).padStart(5)).join('');
    process.stdout.write(`${conditioning.padEnd(14)} ${weights}  ${name}\n`);
  }
  await pipeline.dispose();
}

main().catch((error) => {
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
});
