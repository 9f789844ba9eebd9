/** Parts that are in memory only while they are used: who disposes of a bundle waits for them, and none is loaded later. */
import { setImmediate } from 'node:timers/promises';

import { beforeAll, expect, test } from '@jest/globals';

import { openBundle, opened, type OpenBundle } from '../../../lib/bundle';
import { Components } from '../../../lib/model/components';
import { Transformer } from '../../../lib/model/transformer';
import type { NativeAddon, NativeModel } from '../../../lib/native';

/** A promise that is settled from outside. */
function gate<Value = void>() {
  let open!: (value: Value) => void;
  const promise = new Promise<Value>((resolve) => (open = resolve));
  return { promise, open };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  void promise.then(() => (isDone = true));
  for (let i = 0; i < 20; i++) await setImmediate();
  return isDone;
}

let bundle: OpenBundle;
beforeAll(async () => {
  bundle = opened(await openBundle('embedded'));
});

/** A bundle whose decoder is a file that there is. */
const parts = () =>
  Components.load(
    {
      vae: { decoder: { file: bundle.transformer.file } },
      sealed: (file: string) => bundle.sealed(file),
    } as unknown as OpenBundle,
    { dtype: 'float32', devices: { textEncoders: 'cpu', vae: 'cpu' }, lowMemory: true, allowAllOperators: false },
  );

test('a part in use is disposed of, and who disposes waits until its use has ended', async () => {
  const components = await parts();
  const begun = gate();
  const end = gate();
  const use = components.with('vae.decoder', async (part) => {
    begun.open();
    await end.promise;
    return part.run([]);
  });
  await begun.promise;
  const disposing = components.dispose();
  expect(await isSettled(disposing)).toBe(false);
  end.open();
  await expect(use).rejects.toMatchObject({ code: 'DISPOSED' });
  await disposing;
  await expect(components.with('vae.decoder', () => Promise.resolve())).rejects.toMatchObject({ name: 'AbortError' });
});

test.each(['the caller', 'dispose()'])('a part that is being loaded is given up by %s', async (who) => {
  const components = await parts();
  const controller = new AbortController();
  let isUsed = false;
  const use = components.with('vae.decoder', () => Promise.resolve((isUsed = true)), controller.signal);
  const refused = expect(use).rejects.toMatchObject({ name: 'AbortError' });
  if (who === 'dispose()') await components.dispose();
  else controller.abort();
  await refused;
  expect(isUsed).toBe(false);
  await components.dispose();
});

test('a transformer that is being loaded: dispose() gives that up, and waits for it', async () => {
  const disposed: number[] = [];
  const loads: { open: (model: NativeModel) => void; isCancelled: boolean }[] = [];
  const model = (index: number) =>
    ({
      describe: () => ({}),
      dispose: () => Promise.resolve(void disposed.push(index)),
    }) as unknown as NativeModel;
  const addon = {
    load: () => {
      const { promise, open } = gate<NativeModel>();
      const load = { open, isCancelled: false };
      loads.push(load);
      return { promise, cancel: () => (load.isCancelled = true) };
    },
  } as unknown as NativeAddon;
  const options = {} as Parameters<typeof Transformer.load>[1];
  const loading = Transformer.load(addon, options, () => bundle.sealed(bundle.transformer.file), true);
  while (loads.length < 1) await setImmediate();
  loads[0]!.open(model(0));
  const transformer = await loading;
  expect(disposed).toEqual([0]);
  const acquired = transformer.acquire();
  while (loads.length < 2) await setImmediate();
  const disposing = transformer.dispose();
  expect([await isSettled(disposing), loads[1]!.isCancelled]).toEqual([false, true]);
  loads[1]!.open(model(1));
  await acquired;
  await disposing;
  expect(disposed).toEqual([0, 1]);
});
