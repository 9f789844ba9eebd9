export { dumpRecords, siteName, type DumpSummary, type RecordPlace } from './dump';
export { QuantisationCollector, type QuantisationStatistics } from './quantisation';
export type { ActivationRecord, ChannelStatistics } from './record';
export { recordSampling, type RecordedSampling } from './run';
