export { dumpRecords, siteName, type DumpSummary, type NonFiniteSummary, type RecordPlace } from './dump';
export {
  QuantisationCollector,
  type QuantisationStatistics,
  type QuantisedSite,
  type QuantisedStep,
} from './quantisation';
export type {
  ActivationRecord,
  AttentionStatistics,
  ChannelPercentile,
  ChannelStatistics,
  StrongValue,
  TokenStatistics,
} from './record';
export { recordSampling, type RecordedSampling } from './run';
export type { Shard } from './shards';
