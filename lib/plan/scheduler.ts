/** The sampler of a call: the bundle's, with what the caller changes. */
import { invalid } from '../validation/invalid';
import { parse } from '../validation/parse';
import { schedulerSchema, type SchedulerChanges, type SchedulerOptions, type SchedulerRequest } from '../schedule';

/**
 * Options that differ from the bundle's. With another `kind`, what both samplers have is kept: the training schedule,
 * the shift, the timestep scale. How timesteps are spaced is not, since each sampler has its own default.
 *
 * @throws BAD_OPTION for an unknown kind or option
 */
export function chooseScheduler(bundled: SchedulerOptions, wanted: SchedulerChanges = {}): SchedulerRequest {
  // What is undefined is not asked for: the bundle's stays.
  const changes = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  const { kind = bundled.kind } = wanted;
  if (kind === bundled.kind) return parse(schedulerSchema, { ...bundled, ...changes }, 'options.scheduler');
  const known = schedulerSchema.options.find((schema) => schema.shape.kind.value === kind)?.shape;
  if (!known) {
    const kinds = schedulerSchema.options.map((schema) => `'${schema.shape.kind.value}'`).join(', ');
    throw invalid('options.scheduler.kind', `one of ${kinds}`, kind);
  }
  const shared = Object.entries(bundled).filter(
    ([key]) => Object.hasOwn(known, key) && key !== 'kind' && key !== 'timestepSpacing',
  );
  const inherited = { ...Object.fromEntries(shared), ...shiftOf(bundled, known), kind };
  return parse(schedulerSchema, { ...inherited, ...changes }, 'options.scheduler');
}

/** The shift of flow matching by the name that the other sampler has for it. */
function shiftOf(bundled: SchedulerOptions, known: object): { shift?: unknown; flowShift?: unknown } {
  if ('shift' in bundled && 'flowShift' in known) return { flowShift: bundled.shift };
  if ('flowShift' in bundled && 'shift' in known) return { shift: bundled.flowShift };
  return {};
}
