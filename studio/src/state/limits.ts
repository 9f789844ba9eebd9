/** The limits of options, from the schemas that the server validates requests by. */
import { openApi } from './bundles';

type Schema = {
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  type?: string;
};

function find(schema: Schema | undefined, [name, ...rest]: string[]): Schema | null {
  if (!schema) return null;
  if (name === undefined) return schema;
  const inside = schema.properties?.[name];
  if (inside) return find(inside, rest);
  for (const one of schema.anyOf ?? []) {
    const inner = find(one, [name, ...rest]);
    if (inner) return inner;
  }
  return null;
}

/** Of a number at a path of the request, `guidance.detail.scale`. */
export function limitsOf(path: string): { min: number; max: number } {
  const schemas = (openApi.value?.['components'] as { schemas?: Record<string, Schema> } | undefined)?.schemas;
  const { minimum, maximum } = find(schemas?.['ImageRequest'], path.split('.')) ?? {};
  return { min: minimum ?? 0, max: maximum ?? Number.MAX_SAFE_INTEGER };
}
