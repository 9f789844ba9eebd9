/** Runs a schema over what the caller gave and turns its complaint into one error. */
import type { z } from 'zod';

import { DetailGuidanceError, type ErrorCode } from './errors';
import { invalid, reasonOf, shortened } from './invalid';

/**
 * Validates `value` and fills in defaults.
 *
 * @param name what the value is called in messages: `options`
 * @throws BAD_OPTION (or `code`)
 */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  name: string,
  code: ErrorCode = 'BAD_OPTION',
): z.output<Schema> {
  const long = readable(() => longList(value, name), value, name, code);
  if (long) throw invalid(long.path, `a list of at most ${mostEntries} entries`, long.list, { code });
  const result = readable(() => schema.safeParse(value), value, name, code);
  if (result.success) return result.data;
  const issue = deepest(result.error.issues[0]!);
  const path = [name, ...issue.path.map((key) => shortened(String(key)))]
    .join('.')
    .replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]');
  if (issue.code === 'unrecognized_keys') {
    const name = issue.keys[0]!;
    throw invalid(`${path}.${shortened(name)}`, issue.message, name, { code });
  }
  if (issue.code === 'invalid_key') {
    const expected = `a name that is ${expectation(issue.issues[0]!.message)}`;
    throw invalid(path, expected, issue.path.at(-1), { code });
  }
  throw invalid(path, expected(issue), lookUp(value, issue.path), { code });
}

/** @throws BAD_OPTION (or `code`) where a look into the value throws: a revoked proxy, a getter */
function readable<Result>(look: () => Result, value: unknown, name: string, code: ErrorCode): Result {
  try {
    return look();
  } catch (cause) {
    if (cause instanceof DetailGuidanceError) throw cause;
    throw invalid(name, 'a value that can be read', value, { code, note: reasonOf(cause), cause });
  }
}

/** A schema looks at every entry of a list and makes a new one, of holes too: 2³² of them end the process. */
const mostEntries = 2 ** 24;

/** No option is deeper, and what is deeper is refused without a look into it. */
const mostDepth = 64;

/** The first list in `value` that is too long. Runs no getter. */
function longList(
  value: unknown,
  path: string,
  depth = 0,
  seen = new Set<unknown>(),
): { path: string; list: unknown[] } | undefined {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined;
  if (depth > mostDepth || seen.has(value)) return undefined;
  seen.add(value);
  if (Array.isArray(value)) {
    if (value.length > mostEntries) return { path, list: value };
    // Of numbers or texts, as nearly all long ones are.
    if (typeof value[0] !== 'object') return undefined;
  }
  for (const [key, { value: inner }] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    const list = longList(inner, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, depth + 1, seen);
    if (list) return list;
  }
  return undefined;
}

const types: Record<string, string> = {
  number: 'a number',
  int: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
};

/** zod's own sentences say the same in other words: `Too small: expected number to be >=1`. */
function expectation(message: string): string {
  const expected = message.replace(/^[^:]+: (expected |must match )?/, '').replace(/, received .*$/s, '');
  return expected.replace(/^(\w+)$/, (type) => types[type] ?? type);
}

type Issue = z.core.$ZodIssue;

/** A union says nothing of its own: its choices do, `1 or 3`. */
function expected(issue: Issue): string {
  if (issue.code !== 'invalid_union') return expectation(issue.message);
  const { options } = issue as { options?: unknown[] };
  if (options && issue.message.startsWith('Invalid discriminator')) {
    return `one of ${options.map((option) => `'${String(option)}'`).join(', ')}`;
  }
  if (issue.message !== 'Invalid input') return expectation(issue.message);
  const choices = issue.errors.map(([first]) =>
    first!.path.length > 0 || first!.code === 'unrecognized_keys' ? 'another form' : expected(first!),
  );
  return [...new Set(choices)].join(' or ');
}

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
