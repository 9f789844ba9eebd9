/** What goes over the wire, in the package's own types. */
import type { ImageRequest, JobEvents, JobState, PictureLink, Problem } from '../../../lib/server';
import type { LoadedFacts } from '../../../lib/server/bundlePool';
import type { describeBundle, forcedLoad } from '../../../lib/server/routes/bundles';
import type { Plan, PlanExplanation } from '../../../lib/plan';
import type { PresetName } from '../../../lib/guidance';
import type { AnalysisStep } from '../../../lib/server/followed';

export type { AnalysisStep, ImageRequest, JobEvents, JobState, Plan, PlanExplanation, PresetName, Problem };
export type { DetailOptions, GuidanceOptions, Retention } from '../../../lib/guidance';

/** What is known once it was loaded is null before. */
export type BundleInfo = ReturnType<typeof describeBundle> & { id: string; loaded: boolean } & {
  [Fact in keyof LoadedFacts]: LoadedFacts[Fact] | null;
};

/** How the server was told to load bundles. */
export type ForcedLoad = ReturnType<typeof forcedLoad>;

/** A bundle whose files are wrong or gone. */
export interface BrokenBundle {
  id: string;
  error: { code: string };
}

export interface BundleList {
  bundles: (BundleInfo | BrokenBundle)[];
  presets: PresetName[];
  /** Not where other machines make the pictures. */
  load?: ForcedLoad;
}

export interface JobDescription {
  id: string;
  bundle: string;
  state: JobState;
  images?: PictureLink[];
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
