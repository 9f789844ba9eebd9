/** The command line against its documentation: the reference has all of it, and no page names what there is not. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';

import { createProgram } from '../../../lib/cli/program';
import { root } from '../../../setup/cache.cjs';

import { reference } from './reference';

const page = join(root, 'docs', 'cli.md');
const { commands } = createProgram();
const optionsOf = (name: string) =>
  new Set([
    ...commands
      .filter((command) => command.name() === name)
      .flatMap(({ options }) => options.flatMap(({ short, long }) => [short, long])),
    '--help',
    '-h',
  ]);

test('docs/cli.md is what the program says of itself', () => {
  const text = reference();
  if (process.env.UPDATE_REFERENCE) writeFileSync(page, text);
  expect(readFileSync(page, 'utf8')).toBe(text);
});

test('every option says what it is', () => {
  for (const command of commands)
    for (const { long, description, defaultValueDescription } of command.options)
      expect([command.name(), long, Boolean(description || defaultValueDescription)]).toEqual([
        command.name(),
        long,
        true,
      ]);
});

const guides = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'models/README.md',
  'models/export/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const read = (guide: string) => readFileSync(join(root, guide), 'utf8');

/** What stands in code of a page, a command a line. */
function commandLines(guide: string): string[][] {
  const text = read(guide);
  const blocks = [...text.matchAll(/^ *```\w*\n(.*?)^ *```/gms)].flatMap(([, block]) =>
    block!.replace(/\\\n\s*/g, ' ').split('\n'),
  );
  const spans = [...text.replace(/^ *```.*?^ *```/gms, '').matchAll(/`([^`]+)`/g)].map(([, span]) => span!);
  return [...blocks, ...spans]
    .flatMap((line) => line.replace(/\s# .*$/s, '').split(/&&|\||;/))
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const start = words.findIndex((word) => word === 'detail-guidance' || word.endsWith('dist/cli.js'));
      const isCalled = words.slice(0, start).every((word) => /^(\w+=.*|npx|pnpm|yarn|exec|bunx|node|time)$/.test(word));
      return start >= 0 && isCalled && words.length > start + 1 ? [words.slice(start + 1)] : [];
    });
}

const called = guides.flatMap((guide) => commandLines(guide).map((words) => [guide, words.join(' '), words] as const));

test.each(guides)('%s: what is to be typed begins with npx', (guide) => {
  for (const [block] of read(guide).matchAll(/^ *```.*?^ *```/gms)) expect(block).not.toMatch(/^ *detail-guidance /m);
  // A command with its arguments; `detail-guidance demo` alone is its name.
  if (guide !== 'docs/cli.md')
    expect(read(guide).replace(/^ *```.*?^ *```/gms, '')).not.toMatch(/`detail-guidance [\w-]+\s[^`]/);
});

test('the guides show the command line', () => {
  expect(called.length).toBeGreaterThan(60);
});

test.each(called)('%s: detail-guidance %s', (_guide, _line, [name, ...words]) => {
  const names = [...commands.map((command) => command.name()), 'help', '--help', '--version', '-V', '-h'];
  expect(names).toContain(name);
  const options = optionsOf(name!);
  for (const word of words.filter((text) => /^--?[a-z]/.test(text))) expect([...options]).toContain(word.split('=')[0]);
});
