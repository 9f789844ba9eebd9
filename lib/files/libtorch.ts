/** A libtorch, as setup/libtorch.cjs describes it: in words of its own, since declarations cannot be made of that file. */
export interface Libtorch {
  /** Its folder: an unpacked archive, or `site-packages/torch`. */
  path: string;
  /** Folder of its libraries. */
  lib: string;
  /** Such as `2.11.0`. */
  version: string;
  /** CUDA version it was built with (`unknown` when it does not say), null for a CPU build. */
  cuda: string | null;
}
