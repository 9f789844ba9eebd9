/** What goes over the wire, in the package's own types. */
import type { ImageRequest, JobEvents, JobState, Problem } from '../../../lib/server';
import type { describeBundle } from '../../../lib/server/routes/bundles';
import type { Plan, PlanExplanation } from '../../../lib/plan';
import type { PresetName } from '../../../lib/guidance';
import type { AnalysisStep } from '../../../lib/server/followed';

export type { AnalysisStep, ImageRequest, JobEvents, JobState, Plan, PlanExplanation, PresetName, Problem };
export type { DetailOptions, GuidanceOptions, Retention } from '../../../lib/guidance';

export type BundleInfo = ReturnType<typeof describeBundle> & {
  id: string;
  loaded: boolean;
  /** Blocks, known once the bundle was loaded. */
  layers: number | null;
};

/** A bundle whose files are wrong or gone. */
export interface BrokenBundle {
  id: string;
  error: { code: string };
}

export interface BundleList {
  bundles: (BundleInfo | BrokenBundle)[];
  presets: PresetName[];
}

export interface JobDescription {
  id: string;
  bundle: string;
  state: JobState;
  images?: { seed: number; width: number; height: number; url: string }[];
  plan?: Plan;
  evaluations?: number;
  seconds?: number;
  error?: Problem;
}

export interface Planned {
  bundle: string;
  plan: Plan;
  explanation: PlanExplanation;
}
