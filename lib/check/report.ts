/** What `checkBundle` finds out, and what its process sends. */
import type { Confinement } from '../native';

/** One evaluation of everything in a bundle. */
export interface CheckedEvaluation {
  /** Of the picture, in pixels: the smallest one that the bundle makes, or its only one. */
  width: number;
  /** In pixels. */
  height: number;
  /** Whether every number of the latents is finite. */
  finite: boolean;
}

/** What a bundle that could be opened is, and how its evaluation went. */
export interface BundleReport {
  /** As `bundle.json` says it, like the next two. */
  name: string;
  /** Architecture: dit, sd3, flux … */
  family: string;
  /** Of the weights. */
  licence: string;
  /** Files that `bundle.json` lists; each has its checksum. */
  files: number;
  /** Of these files. */
  bytes: number;
  /** Of the transformer. */
  parameters: number;
  /** Of the transformer. */
  blocks: number;
  /** null for a bundle that takes tensors of the caller as its conditioning. */
  evaluation: CheckedEvaluation | null;
  /** Most memory of the process, in bytes. */
  peakMemory: number;
}

/** What `checkBundle` came to. */
export interface CheckResult {
  /** Opened and evaluated without an error, with finite numbers. */
  ok: boolean;
  /** What the process could not do. */
  confinement: Confinement;
  /** What the bundle is; null where it could not be opened or evaluated. */
  report: BundleReport | null;
  /** Why there is no report: an error's code and message, or CHECK_ENDED for a process that crashed or took too long. */
  failure: {
    /** As the library's errors have it, or CHECK_ENDED. */
    code: string;
    /** A whole sentence. */
    message: string;
  } | null;
}

/** What the process is sent. */
export interface CheckTask {
  location: string;
  memoryBytes: number;
}
