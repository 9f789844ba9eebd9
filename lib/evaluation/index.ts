/** `detail-guidance/evaluation`: pictures against reference pictures, and what an intervention changes. */
export type { Estimate } from './bootstrap';
export type { Comparison, Difference } from './comparison';
export { drawSheet } from './drawSheet';
export { evaluate, type EvaluationResult, type SettingResult } from './evaluate';
export type { BandChange, Intervention, InterventionResult } from './interventionChange';
export type { InterventionOptions } from './interventionOptions';
export { drawLineChart, type LineChart } from '../image/lineChart';
export type { Sheet, SheetColumn, SheetRow } from '../image/sheet';
export { runInterventions } from './interventions';
export { distanceNames } from './distanceNames';
export type { NetworkOptions, NetworkRecord } from './network';
export type { EvaluateOptions, EvaluationProgress, PictureRequest } from './options';
export { openPictures } from './openPictures';
export type { PictureSet } from './pictureSet';
export { ringFrequencies } from './spectrum';
