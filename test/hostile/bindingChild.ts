/** Calls one function of the binding with much that it is not made for; its process may end (pool.ts). */
import { join } from 'node:path';

import { native, type NativeComponent, type NativeModel } from '../../lib/native';
import { errorCodes } from '../../lib/validation/errors';

import { answer } from './answer';
import { nonsense, strangers, variantsOf } from './nonsense';

const root = process.env['FUZZ_ROOT']!;
const file = (name: string) => join(root, 'models', 'embedded', name);
const dtype = 'float32';

const inputs = () => [
  { data: new Float32Array(784).fill(0.5), shape: [1, 1, 28, 28], dtype },
  { data: Float32Array.of(0.5), shape: [1], dtype },
  { data: BigInt64Array.of(1n), shape: [1], dtype: 'int64' },
];

const edit = () => ({
  path: 'blocks.3',
  tap: 'output',
  stream: null,
  operation: 'retain',
  channels: [1, 2],
  tokens: [0, 48],
  lastTokens: 49,
  retention: [0.5],
  scale: [1, 1],
  shift: [0, 0],
  source: { data: new Float32Array(128), shape: [1, 1, 128], dtype },
  reference: [3],
  sigma: 1,
  grid: [7, 7],
  seed: 1,
});

const operations = ['retain', 'mean', 'affine', 'transplant', 'skip', 'shuffle', 'identity', 'blur', 'match'];

function plan() {
  const latents = () => ({ data: new Float32Array(784).fill(0.5), shape: [1, 1, 28, 28], dtype });
  const step = () => ({
    timestep: 0.5,
    inputScale: 1,
    weights: [1, 0.5, -0.5],
    reuse: [0, 0, 0],
    adjustments: [
      { kind: 'apg', branch: 1, reference: 0, eta: 0, normThreshold: 1, momentum: -0.5 },
      { kind: 'rescale', reference: 0, factor: 0.5 },
    ],
    sample: 1,
    outputs: [-0.5],
    noise: 0.1,
    preview: [1, -0.5],
    keep: [0.5, 0.5],
  });
  return {
    latents: latents(),
    seeds: [7],
    conditionings: [[inputs()[2]], [inputs()[2]]],
    edits: [edit()],
    branches: [
      { name: 'a', conditioning: 0, edits: [], reference: -1 },
      { name: 'b', conditioning: 1, edits: [], reference: 0 },
      { name: 'c', conditioning: 0, edits: [0], reference: 0 },
    ],
    steps: [step(), { ...step(), reuse: [0, 0, 1] }],
    adaptiveReuse: [{ branch: 1, path: 'blocks.0', threshold: 0.1 }],
    recording: {
      sites: [0, 1],
      branches: [0],
      steps: [0],
      channels: true,
      percentiles: [99],
      tokens: true,
      top: 3,
      attention: true,
      tensors: 'float16',
      beforeEdits: false,
    },
    inpainting: {
      mask: { data: new Float32Array(784), shape: [1, 1, 28, 28], dtype },
      image: latents(),
      noise: latents(),
    },
    partialForward: true,
    batchSize: 1,
    preview: true,
  };
}

function drawnPlan() {
  const noise = { seeds: [7n], shape: [1, 28, 28], scale: 0.5 };
  return { ...plan(), latents: undefined, recording: undefined, inpainting: undefined, noise };
}

const loadOptions = () => ({
  file: file('transformer.pt'),
  identity: '',
  device: 'cpu',
  dtype,
  inputs: [
    { name: 'sample', role: 'latent', dtype: 'float', batched: true },
    { name: 'timestep', role: 'timestep', dtype, batched: true },
    { name: 'class', role: 'class', dtype: 'int64', batched: true },
  ],
  blocks: [{ path: 'blocks.*', streams: ['image'] }],
  outputChannels: 1,
  allowAllOperators: false,
  firstEvaluationLimit: 600,
  fuse: ['gelu'],
});

const quantiseOptions = () => ({
  ...loadOptions(),
  fuse: [],
  quantise: {
    weights: 'int8',
    activations: 'per-token',
    channels: [1],
    stream: 'image',
    keep: ['blocks.0.mlp.0'],
    layers: [
      {
        path: 'blocks.1.mlp.0',
        channels: [2],
        smoothing: { data: new Float32Array(128).fill(1), shape: [128], dtype },
      },
    ],
    stored: [],
  },
});

const componentOptions = () => ({
  file: file('classifier.pt'),
  identity: '',
  device: 'cpu',
  dtype,
  allowAllOperators: false,
  firstEvaluationLimit: 600,
});

const form = () => ({ height: 28, width: 28, black: -1, white: 1 });

type Anything = (...values: unknown[]) => unknown;
type Run = { promise: Promise<unknown>; cancel: Anything; stepRead?: Anything; recordsRead?: Anything };

/** A function, the objects it lives on, and arguments that are nearly right. */
interface Target {
  call: Anything;
  /** What it is no method of. */
  self?: object;
  arguments: unknown[][];
}

const loaded = async () => {
  const model = (await native().load(loadOptions() as never).promise) as NativeModel;
  const component = (await native().loadComponent(componentOptions() as never).promise) as NativeComponent;
  return { model, component };
};

async function targetNamed(name: string): Promise<Target> {
  const [kind, method] = name.split('.') as [string, string | undefined];
  if (method === undefined) {
    const call = (native() as unknown as Record<string, Anything>)[kind]!;
    const nearly: Record<string, unknown[][]> = {
      memory: [['cpu']],
      emptyCache: [['cpu']],
      resetPeakMemory: [['cpu']],
      gaussian: [[1n, [2, 2]]],
      // Nothing that would be taken: it would hold for what comes after.
      confine: [],
      load: variantsOf(loadOptions).map((options) => [options]),
      storeQuantised: variantsOf(quantiseOptions).map((options) => [options, join(process.cwd(), 'stored.pt')]),
      loadComponent: variantsOf(componentOptions).map((options) => [options]),
    };
    return { call, arguments: nearly[kind] ?? [] };
  }
  const { model, component } = await loaded();
  if (kind === 'run') {
    const run = model.sample(plan() as never, undefined, () => undefined) as unknown as Record<string, Anything>;
    return { call: run[method]!, arguments: [[]] };
  }
  const self = (kind === 'model' ? model : component) as unknown as Record<string, Anything>;
  const read = () => undefined;
  const hooks = (change: object) => [{ path: 'blocks.3', tap: 'output', stream: null, capture: true, edits: [change] }];
  const nearly: Record<string, unknown[][]> = {
    'model.find': variantsOf(() => ({ path: 'blocks.3', tap: 'output', stream: null })).map((place) => [place]),
    'model.shapes': variantsOf(inputs).map((given) => [given]),
    'model.forward': [
      ...variantsOf(inputs).map((given) => [given, []]),
      ...variantsOf(() => hooks(edit())).map((given) => [inputs(), given]),
      ...operations.flatMap((operation) =>
        variantsOf(() => hooks({ ...edit(), operation }), 'small').map((given) => [inputs(), given]),
      ),
    ],
    'model.sample': [
      ...variantsOf(plan).map((given) => [given, read, read]),
      ...variantsOf(drawnPlan, 'small').map((given) => [given, read, read]),
      ...nonsense().map((callback) => [plan(), callback, callback]),
    ],
    'component.run': variantsOf(() => inputs().slice(0, 1)).map((given) => [given]),
    'component.pictures': [
      ...variantsOf(() => inputs().slice(0, 1)).map((given) => [given, form()]),
      ...variantsOf(form).map((given) => [inputs().slice(0, 1), given]),
    ],
  };
  return { call: self[method]!.bind(self), self, arguments: nearly[name] ?? [[]] };
}

answer(async ({ name }: { name?: string }) => {
  if (name === undefined) return (await names()).join(' ');
  const target = await targetNamed(name);
  const wrong: string[] = [];
  let calls = 0;
  const attempt = async (what: string, call: () => unknown) => {
    calls++;
    // Kept for when the process ends: the last line is the call that ended it.
    process.stderr.write(`${name} ${calls}: ${what}\n`);
    const found = await settle(call);
    if (found?.code === null) wrong.push(`${calls} ${what}: ${found.message}`);
    return found;
  };
  const values = nonsense();
  await attempt('no arguments', () => target.call());
  for (const value of values) await attempt(show([value]), () => target.call(value));
  for (const value of values) await attempt(show([value, value, value]), () => target.call(value, value, value));
  for (const [index, given] of target.arguments.entries()) {
    const refused = await attempt(show(given), () => target.call(...given));
    // The first is right, so that what is wrong with the others is the one place.
    if (index === 0 && refused) wrong.push(`the right call: ${refused.code} ${refused.message}`);
  }
  if (target.self) {
    const method = (target.self as Record<string, Anything>)[name.split('.')[1]!]!;
    for (const stranger of [...strangers(target.self), ...values]) {
      await attempt(`on ${show([stranger])}`, () => Reflect.apply(method, stranger, target.arguments[0] ?? []));
    }
    const constructor = target.self.constructor as unknown as new (...given: unknown[]) => Record<string, Anything>;
    for (const value of values) {
      // An object that was never loaded.
      await attempt('on a new one', () => new constructor(value)[name.split('.')[1]!]!(...(target.arguments[0] ?? [])));
    }
  }
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${calls} calls:\n${wrong.slice(0, 20).join('\n')}`);
  return `${calls} calls`;
});

/** The error that a call ended in, its code null when it is none of the package's; null: it gave something. */
async function settle(call: () => unknown): Promise<{ code: string | null; message: string } | null> {
  try {
    const given = call();
    if (isRun(given)) {
      const patience = setTimeout(() => given.cancel(), 5000);
      // What a run waits for is read.
      const reading = setInterval(() => [given.stepRead?.(), given.recordsRead?.()], 5);
      try {
        const made = await given.promise;
        if (isDisposable(made)) await made.dispose();
      } finally {
        clearTimeout(patience);
        clearInterval(reading);
      }
    } else {
      await given;
    }
    return null;
  } catch (error) {
    const { code, message = String(error) } = error as { code?: string; message?: string };
    if (errorCodes.some((known) => known === code)) return { code: code!, message };
    // The engine's own, before the function is reached: a method of another object, a class without `new`.
    const isEngine = error instanceof TypeError && /Illegal invocation|without 'new'|bigint|symbol/i.test(message);
    if (isEngine || message === 'a getter of the caller') return { code: 'TypeError', message };
    return { code: null, message: `${String(code)} ${message}` };
  }
}

const isRun = (value: unknown): value is Run => value !== null && typeof value === 'object' && 'promise' in value;
const isDisposable = (value: unknown): value is { dispose(): Promise<void> } =>
  value !== null && typeof value === 'object' && 'dispose' in value;

/** Every function that JavaScript sees: of the addon, of what it loads, and of a run. */
async function names(): Promise<string[]> {
  const { model, component } = await loaded();
  const run = model.sample(plan() as never, undefined, () => undefined);
  run.cancel();
  await run.promise.catch(() => undefined);
  const methods = (kind: string, object: object) =>
    Object.getOwnPropertyNames(object)
      .filter((name) => name !== 'constructor' && typeof Reflect.get(object, name) === 'function')
      .map((name) => `${kind}.${name}`);
  return [
    ...Object.keys(native()),
    ...methods('model', Object.getPrototypeOf(model) as object),
    ...methods('component', Object.getPrototypeOf(component) as object),
    ...methods('run', run),
  ];
}

function show(values: unknown[]): string {
  const seen = new Set<unknown>();
  const text = (value: unknown): string => {
    try {
      return (
        JSON.stringify(value, (_, item: unknown) => {
          if (typeof item === 'bigint') return `${item}n`;
          if (ArrayBuffer.isView(item)) return `${item.constructor.name}(${item.byteLength} bytes)`;
          if (item !== null && typeof item === 'object') {
            if (seen.has(item)) return '…';
            seen.add(item);
          }
          if (Array.isArray(item) && item.length > 100) return `[… ${item.length}]`;
          return typeof item === 'number' && !Number.isFinite(item) ? String(item) : item;
        }) ?? typeof value
      );
    } catch {
      return typeof value;
    }
  };
  return values.map(text).join(', ').slice(0, 2000);
}
