/** Squoosh's decoders: libjpeg and libwebp in WebAssembly, of the packages of jSquash; loaded with the first picture. */
import { readFile } from 'node:fs/promises';

import { assetPath } from '../files/asset';
import { invalid, reasonOf } from '../validation/invalid';

interface Decoded {
  width: number;
  height: number;
  /** RGBA. */
  data: Uint8ClampedArray;
}

/** A program that has not run yet; its memory is its own. */
type Codec = (options: { wasmBinary: Uint8Array; printErr(line: string): void }) => Promise<{
  decode(bytes: ArrayBuffer, ...options: boolean[]): Decoded | null;
}>;

const codecs = {
  // Its option: whether the decoder turns the picture as EXIF says, for which orientation.ts is there.
  jpeg: { file: 'mozjpeg_dec', options: [false], load: () => import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js') },
  webp: { file: 'webp_dec', options: [], load: () => import('@jsquash/webp/codec/dec/webp_dec.js') },
};

/**
 * Decodes a picture as it lies in the file.
 *
 * @param expected what the bytes should be, for messages
 * @throws BAD_TENSOR with the decoder's own reason
 */
export async function decodeBy(codec: keyof typeof codecs, bytes: Uint8Array, expected: string): Promise<Decoded> {
  const { file, options, load } = codecs[codec];
  const [{ default: make }, wasmBinary] = await Promise.all([
    load() as unknown as Promise<{ default: Codec }>,
    readFile(assetPath(`@jsquash/${codec}/codec/dec/${file}.wasm`)),
  ]);
  const said: string[] = [];
  try {
    // A new one for every picture: what stumbles over damaged bytes cannot be used again.
    const started = withImageData(() => make({ wasmBinary, printErr: (line) => said.push(line) }));
    const program = await started;
    const decoded = withImageData(() => program.decode(Uint8Array.from(bytes).buffer, ...options));
    if (decoded) return decoded;
    throw new Error('it cannot be decoded');
  } catch (cause) {
    throw invalid('This picture', expected, bytes, {
      code: 'BAD_TENSOR',
      shown: `${bytes.length} bytes`,
      note: said[0] ?? reasonOf(cause),
      cause,
    });
  }
}

/** The decoders make a global ImageData, as browsers have it; nobody else should find it. */
function withImageData<Result>(run: () => Result): Result {
  const scope = globalThis as { ImageData?: unknown };
  if (scope.ImageData) return run();
  scope.ImageData = class {
    constructor(
      readonly data: Uint8ClampedArray,
      readonly width: number,
      readonly height: number,
    ) {}
  };
  try {
    return run();
  } finally {
    delete scope.ImageData;
  }
}
