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
export function chooseScheduler(bundled: SchedulerOptions, changes: SchedulerChanges = {}): SchedulerRequest {
  const { kind = bundled.kind } = changes;
  if (kind === bundled.kind) return parse(schedulerSchema, { ...bundled, ...changes }, 'options.scheduler');
  const known = schedulerSchema.options.find((schema) => schema.shape.kind.value === kind)?.shape;
  if (!known) {
    const kinds = schedulerSchema.options.map((schema) => `'${schema.shape.kind.value}'`).join(', ');
    throw invalid('options.scheduler.kind', `one of ${kinds}`, kind);
  }
  const shared = Object.entries(bundled).filter(
    ([key]) => Object.hasOwn(known, key) && key !== 'kind' && key !== 'timestepSpacing',
  );
  const shift = 'shift' in bundled && 'flowShift' in known ? { flowShift: bundled.shift } : {};
  return parse(schedulerSchema, { ...Object.fromEntries(shared), ...shift, ...changes }, 'options.scheduler');
}
