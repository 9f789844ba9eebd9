/** What `checkBundle` finds out, and what its process sends. */
import type { Confinement } from '../native';

/** One evaluation of everything in a bundle. */
export interface CheckedEvaluation {
  /** Of the picture, in pixels: the smallest one that the bundle makes, or its only one. */
  width: number;
  height: number;
  /** Whether every number of the latents is finite. */
  finite: boolean;
}

export interface BundleReport {
  /** What `bundle.json` says. */
  name: string;
  family: string;
  licence: string;
  files: number;
  bytes: number;
  parameters: number;
  blocks: number;
  /** null for a bundle that takes tensors of the caller as its conditioning. */
  evaluation: CheckedEvaluation | null;
  /** Most memory of the process, in bytes. */
  peakMemory: number;
}

export interface CheckResult {
  /** Opened and evaluated without an error, with finite numbers. */
  ok: boolean;
  /** What the process could not do. */
  confinement: Confinement;
  report: BundleReport | null;
  /** Why there is no report: an error's code and message, or CHECK_ENDED for a process that crashed or took too long. */
  failure: { code: string; message: string } | null;
}

/** What the process is sent. */
export interface CheckTask {
  location: string;
  memoryBytes: number;
}
