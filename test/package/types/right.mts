/** What a program may write: compiled against the packed tarball. */
import { expectTypeOf } from 'expect-type';

import {
  DetailGuidanceError,
  encodePng,
  GuidanceBuilder,
  loadPipeline,
  loadTorchScript,
  packLibtorch,
  readOptions,
  type ActivationRecord,
  type Capture,
  type Edit,
  type ErrorCode,
  type Execution,
  type ForwardOptions,
  type GeneratedImage,
  type GenerateOptions,
  type GuidanceOptions,
  type Hook,
  type LoadOptions,
  type Place,
  type Plan,
  type PresetName,
  type Raster,
  type RecordedSampling,
  type Seed,
  type Site,
  type StepEvent,
  type Tensor,
  type TorchScript,
  type Warning,
} from 'detail-guidance';
import { startPipeline, type Bridge } from 'detail-guidance/electron';
import { exposeBridge } from 'detail-guidance/electron/preload';

declare const bridge: Bridge;

const load: LoadOptions = { device: 'cuda:0', devices: { vae: 'cpu' }, dtype: 'auto', fuse: ['gelu'] };
const pipeline = await loadPipeline('embedded', load);
expectTypeOf(pipeline.device).toEqualTypeOf<string>();
expectTypeOf(pipeline.sites).toEqualTypeOf<readonly Site[]>();

// Guidance is what a caller writes: every default may be left out.
const plain: GuidanceOptions = { classifierFree: { scale: 2 } };
const guidance: GuidanceOptions = {
  classifierFree: {},
  detail: [
    { layer: 'auto', channels: [1, 2], retention: { kind: 'linear', data: 0, noise: 1 }, start: 0.1 },
    { tokens: [[0, 1, true]], reuse: { threshold: 0.1 }, control: { kind: 'random-tokens' } },
  ],
  slg: { layers: [7, 8] },
  branches: [{ weight: 1, edits: [{ operation: 'zero', layer: 4, channels: 'auto' }] }],
};
expectTypeOf(
  new GuidanceBuilder().away([{ operation: 'mean', layer: 1 }], 0.3).build(),
).toEqualTypeOf<GuidanceOptions>();
const preset: PresetName = 'detail+cfg';

const options: GenerateOptions = {
  classLabel: ['Sneaker', 7],
  seed: [1, 2n ** 60n],
  guidance: preset,
  scheduler: { shift: 3 },
  onStep: ({ step, fraction }: StepEvent) => void [step, fraction],
  onWarning: (warning: Warning) => {
    if (warning.code === 'PROMPT_TRUNCATED') expectTypeOf(warning.encoder).toEqualTypeOf<string>();
  },
  signal: new AbortController().signal,
};
const result = await pipeline.generate({ ...options, guidance: plain, scheduler: { kind: 'ddim', eta: 1 } });
expectTypeOf(result.images).toEqualTypeOf<GeneratedImage[]>();
expectTypeOf(result.seeds).toEqualTypeOf<Seed[]>();
expectTypeOf(result.execution).toEqualTypeOf<Execution>();
expectTypeOf(result.images[0]!.toPng()).toEqualTypeOf<Uint8Array>();
expectTypeOf(readOptions(result.images[0]!.toPng())).toEqualTypeOf<GenerateOptions>();
await pipeline.generate(readOptions(result.images[0]!.toPng()));
const raster: Raster = result.images[0]!;
expectTypeOf(encodePng(raster)).toEqualTypeOf<Uint8Array>();

const plan = pipeline.plan({ guidance });
expectTypeOf(plan).toExtend<Plan>();
expectTypeOf(plan.explain().text).toEqualTypeOf<string>();
// A plan's guidance and sampler are options again.
await pipeline.generate({ guidance: plan.guidance, scheduler: plan.scheduler });

// One vocabulary of edits.
const edit: Edit = { operation: 'match', channels: [1], reference: 'auto' };
const place: Place = { layer: [1, 2], tap: 'input' };
const hook: Hook = { ...place, capture: true, edits: [edit, { operation: 'blur' }] };
const hooks: ForwardOptions = { hooks: [hook, { path: 'blocks.*', stream: null }, pipeline.sites[0]!].slice(0, 2) };
const sample: Tensor = { data: new Float32Array(784), shape: [1, 1, 28, 28], dtype: 'float32' };
const { output, captures } = await pipeline.forward({ sample }, hooks);
expectTypeOf(output).toEqualTypeOf<Tensor>();
expectTypeOf(captures).toEqualTypeOf<Capture[]>();

for await (const record of pipeline.activations({ generate: options, sites: [place], steps: [0] })) {
  expectTypeOf(record).toEqualTypeOf<ActivationRecord>();
  expectTypeOf(record.channels?.max).toEqualTypeOf<Float32Array | undefined>();
}
const records = pipeline.activations();
const last = await records.next();
if (last.done) expectTypeOf(last.value).toEqualTypeOf<RecordedSampling>();

// A desktop application, whether it has Electron's types or not.
const outcome = await bridge.generate({ classLabel: 7 }, { onStep: ({ fraction }) => fraction }).outcome;
if (outcome.ok) expectTypeOf(outcome.value.images[0]!.png).toEqualTypeOf<Uint8Array>();
else expectTypeOf(outcome.error.code).toEqualTypeOf<string>();
const engine = await startPipeline('embedded', { device: 'cpu', libtorch: '/opt/app/libtorch' });
expectTypeOf((await engine.plan(options)).plan).toEqualTypeOf<Plan>();
exposeBridge();
const packed = await packLibtorch('libtorch');
expectTypeOf(packed.bytes).toEqualTypeOf<number>();

const program: TorchScript = await loadTorchScript('classifier.pt', { device: 'cpu' });
expectTypeOf(await program.run([sample])).toEqualTypeOf<Tensor[]>();

try {
  await pipeline.dispose();
} catch (error) {
  if (error instanceof DetailGuidanceError) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
}
