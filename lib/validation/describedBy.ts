/**
 * Holds a schema to the interface that a reader sees. The interface carries the comments, the schema checks values; the
 * compiler refuses a field that one of them has and the other has not, or has otherwise.
 */
import type { z } from 'zod';

/** `true` for the same type: as strict about optional and readonly fields as the compiler itself. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

type Checked<Schema extends z.ZodType, Interface> =
  Same<z.input<Schema>, Interface> extends true
    ? unknown
    : { 'the schema takes something else than the interface says': [schema: z.input<Schema>, says: Interface] };

/** `gives<BundleManifest>()(schema)` is the schema; it compiles when what the schema gives is exactly BundleManifest. */
export function gives<Interface>() {
  return <Schema extends z.ZodType>(
    schema: Schema &
      (Same<z.output<Schema>, Interface> extends true
        ? unknown
        : { 'the schema gives something else than the interface says': [schema: z.output<Schema>, says: Interface] }),
  ): Schema => schema;
}

/** `describedBy<LoadOptions>()(schema)` is the schema; it compiles when the schema takes exactly LoadOptions. */
export function describedBy<Interface>() {
  return <Schema extends z.ZodType>(schema: Schema & Checked<Schema, Interface>): Schema => schema;
}
