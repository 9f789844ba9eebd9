/** What crosses between the processes of an Electron application: plain data alone. */
import type { PictureSize } from '../request/pictureSize';
import type { GenerateOptions } from '../request/generateOptions';
import type { PhaseEvent, StepEvent } from '../request/stepEvent';
import type { Seed } from '../request/seeds';
import type { Warning } from '../request/warning';
import type { Plan, PlanExplanation } from '../plan';
import type { Execution } from '../native';

/** What is wrong, as plain data: a `DetailGuidanceError` loses its code on the way into a page. */
export interface Problem {
  /** What kind of error it is; docs/errors.md lists them. */
  code: string;
  /** A whole sentence. */
  message: string;
  /** What would fit, in words. */
  expected?: string;
}

/** How a call ended. */
export type Outcome<Value> =
  | {
      /** It ended well. */
      ok: true;
      /** What it gave. */
      value: Value;
    }
  | {
      /** It failed. */
      ok: false;
      /** Why. */
      error: Problem;
    };

/** The options of `generate` without functions and signals, which do not cross; what listens is given beside them. */
export type PlainOptions = Omit<GenerateOptions, 'onStep' | 'onProgress' | 'onWarning' | 'signal'>;

/** What a running call tells. */
export interface Listeners {
  /** As `onStep` of `generate`. */
  onStep?: (event: StepEvent) => void;
  /** As `onProgress` of `generate`. */
  onProgress?: (event: PhaseEvent) => void;
  /** As `onWarning` of `generate`. */
  onWarning?: (warning: Warning) => void;
}

/** A picture that was made. */
export interface ProcessPicture {
  /** Makes this picture again, alone, with the other options the same. */
  seed: Seed;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** The bytes of its PNG, with the plan that it was made by: those that `GeneratedImage.toPng` gives. */
  png: Uint8Array;
}

/** What `generate` gives. */
export interface ProcessResult {
  /** In the order of their seeds. */
  images: ProcessPicture[];
  /** What was done. */
  plan: Plan;
  /** How it was computed. */
  execution: Execution;
  /** Branch evaluations of the model, summed over steps and images. */
  evaluations: number;
}

/** What `plan` gives. */
export interface ProcessPlan {
  /** What a call would do. */
  plan: Plan;
  /** The same in words and in numbers. */
  explanation: PlanExplanation;
}

/** What was loaded. */
export interface PipelineInfo {
  /** The bundle's name. */
  name: string;
  /** The family of its model, such as `dit`. */
  family: string;
  /** 'cpu' or 'cuda:N'. */
  device: string;
  /** Of weights and activations. */
  dtype: string;
  /** What pictures are conditioned on. */
  conditioning: 'class' | 'text' | 'tensors';
  /** Names of the classes, by their index, or their numbers where they have no names; empty where there are no classes. */
  classes: string[];
  /** Of a picture, unless a call asks for another size. */
  size: Pick<PictureSize, 'width' | 'height'>;
  /** Blocks of the transformer. */
  blocks: number;
}
