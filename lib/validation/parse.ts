/** Runs a schema over what the caller gave and turns its complaint into one sentence. */
import type { z } from 'zod';

import { DetailGuidanceError, type ErrorCode } from './errors';

/**
 * Validates `value` and fills in defaults.
 *
 * @param name what the value is called in messages: `options`
 * @throws BAD_OPTION (or `code`): what was wrong, what was found, what would be right
 */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  name: string,
  code: ErrorCode = 'BAD_OPTION',
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = deepest(result.error.issues[0]!);
  const path = [name, ...issue.path.map(String)].join('.').replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]');
  if (issue.code === 'unrecognized_keys') {
    const unknown = `${path}.${issue.keys[0]!}`;
    throw new DetailGuidanceError(code, `${unknown} is not known: ${issue.message}.`, {
      found: issue.keys[0],
      expected: issue.message,
    });
  }
  const found = lookUp(value, issue.path);
  const expected = issue.message;
  const state = found === undefined ? 'is missing' : `is ${show(found)}`;
  // A bundle's schema speaks in zod's own sentences, an option's in the phrases of vocabulary.ts.
  const sentence = code === 'BAD_OPTION' ? `; ${expected} would be right.` : ` (${expected}).`;
  throw new DetailGuidanceError(code, `${path} ${state}${sentence}`, { found, expected });
}

type Issue = z.core.$ZodIssue;

/**
 * A union fails as a whole. When exactly one of its members failed deeper than at the union itself, that member is
 * the form the caller meant, and its own complaint says more.
 */
function deepest(issue: Issue, path: PropertyKey[] = []): Issue {
  const here = { ...issue, path: [...path, ...issue.path] } as Issue;
  if (issue.code !== 'invalid_union') return here;
  const members = issue.errors.filter((issues) =>
    issues.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  );
  return members.length === 1 ? deepest(members[0]![0]!, here.path) : here;
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

/** A value as it reads in a sentence: short, and never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 57)}…'` : `'${value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (Array.isArray(value)) return value.length > 8 ? `a list of ${value.length}` : `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `an object with ${Object.keys(value).join(', ') || 'no keys'}`;
  return String(value);
}
