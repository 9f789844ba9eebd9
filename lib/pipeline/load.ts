/** From the folder of a bundle to a pipeline: devices, dtype, memory, then transformer and the other parts. */
import { openBundle } from '../bundle';
import { Components } from '../model/components';
import { resolveDevice, resolveDtype } from '../model/device';
import { loadSchema, type LoadOptions } from '../model/loadOptions';
import { freeMemory, refuseTooLarge } from '../model/memory';
import { quantisationOf } from '../model/quantizeOptions';
import { nativeInputs, Transformer } from '../model/transformer';
import { native } from '../native';
import { AbortError, wrapNative } from '../validation/errors';
import { parse } from '../validation/parse';

import { createPipeline, type Pipeline } from './pipeline';

/**
 * Loads a model.
 *
 * @param location folder of a bundle, or `'embedded'` for the model that comes with this package
 * @throws BAD_OPTION, BUNDLE_NOT_FOUND, BUNDLE_INVALID, BUNDLE_CHECKSUM, BUNDLE_TOO_LARGE, MODEL_UNREADABLE,
 *   NOT_A_TRANSFORMER, OPERATOR_REFUSED, DEVICE_UNAVAILABLE, PRECISION_UNAVAILABLE, OUT_OF_MEMORY, ABORT_ERR, and what is
 *   wrong with the installation: ADDON_NOT_BUILT, LIBTORCH_NOT_FOUND, LIBTORCH_MISMATCH
 */
export async function loadPipeline(location: string, options: LoadOptions = {}): Promise<Pipeline> {
  const request = parse(loadSchema, options, 'options');
  const {
    dtype: wantedDtype,
    lowMemory,
    allowAllOperators,
    firstEvaluationLimit,
    fuse,
    quantize,
    offload,
    signal,
  } = request;
  if (signal?.aborted) throw new AbortError(signal.reason);
  try {
    const addon = native();
    const deviceOf = (part: keyof typeof request.devices) =>
      resolveDevice(request.devices[part] ?? request.device, addon);
    const devices = {
      textEncoders: deviceOf('textEncoders'),
      transformer: deviceOf('transformer'),
      vae: deviceOf('vae'),
    };
    const device = devices.transformer;
    const places = request.checkMemory ? [...new Set(['cpu', ...Object.values(devices)])] : [];
    const free = new Map<string, number | null>();
    for (const place of places) free.set(place, await freeMemory(place, addon));
    const bundle = await openBundle(location, signal, (manifest) => {
      if (!request.checkMemory) return;
      const { dtype } = resolveDtype(wantedDtype, device, manifest.transformer);
      const placement = { dtype, devices, lowMemory, offload: offload !== undefined, quantize: quantize !== undefined };
      refuseTooLarge(manifest, placement, (place) => free.get(place) ?? null);
    });
    const { transformer: manifest } = bundle;
    const { dtype, reason: dtypeReason } = resolveDtype(wantedDtype, device, manifest);
    const quantise = await quantisationOf(quantize, bundle);
    const transformer = await Transformer.load(
      addon,
      {
        device,
        dtype,
        inputs: nativeInputs(manifest),
        blocks: manifest.blocks,
        outputChannels: manifest.outputChannels,
        allowAllOperators,
        firstEvaluationLimit,
        ...(fuse === true ? {} : { fuse: fuse === false ? [] : fuse }),
        ...(quantise ? { quantise } : {}),
        ...(offload ? { offload } : {}),
      },
      () => bundle.sealed(manifest.file),
      lowMemory,
      signal,
    );
    try {
      const components = await Components.load(bundle, { dtype, devices, lowMemory, allowAllOperators }, signal);
      const memory = { offload: offload ?? null, lowMemory };
      const { textEncoders, vae } = devices;
      const others = textEncoders === device && vae === device ? undefined : { textEncoders, vae };
      const recorded = { devices: others, fuse: fuse === true ? undefined : fuse, quantize };
      const loaded = { bundle, device, dtype, dtypeReason, ...recorded, addon, components, memory };
      const pipeline = createPipeline(transformer, loaded);
      if (!signal?.aborted) return pipeline;
      await pipeline.dispose();
    } catch (error) {
      await transformer.dispose();
      throw error;
    }
  } catch (error) {
    if (!signal?.aborted) throw wrapNative(error);
  }
  throw new AbortError(signal.reason);
}
