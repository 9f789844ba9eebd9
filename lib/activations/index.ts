export type { ActivationRecord, ChannelStatistics } from './record';
export { recordSampling, type RecordedSampling } from './run';
