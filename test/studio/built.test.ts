/** The built page: how much there is to load, and that it loads nothing from elsewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { expect, test } from '@jest/globals';

import { readDocstrings } from '../../studio/docstrings';

import { pageFolder } from './studio';

const assets = join(pageFolder, 'assets');
const index = () => readFileSync(join(pageFolder, 'index.html'), 'utf8');
const scripts = () => readdirSync(assets).filter((name) => name.endsWith('.js'));
const packed = (name: string) => gzipSync(readFileSync(join(assets, name))).length;

test('the script without the plotting library is at most 300 kB', () => {
  expect(existsSync(pageFolder)).toBe(true);
  const first = scripts().filter((name) => index().includes(name));
  // One file is loaded with the page; the plotting library comes when the first plot is drawn.
  expect(first).toHaveLength(1);
  expect(packed(first[0]!)).toBeLessThan(300_000);
  const later = scripts().filter((name) => !index().includes(name));
  expect(later.reduce((sum, name) => sum + packed(name), 0)).toBeLessThan(300_000);
});

test('addresses are relative, and the policy lets nothing in from elsewhere', () => {
  const addresses = [...index().matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address!);
  expect(addresses.filter((address) => !/^(\.\/|data:)/.test(address))).toEqual([]);
  const [, policy] = /Content-Security-Policy"\s+content="([^"]*)"/.exec(index())!;
  expect(policy).toContain("default-src 'none'; script-src 'self';");
  expect(index()).not.toMatch(/<script(?![^>]*\bsrc=)/);
});

test('the licences of what is bundled are beside it', () => {
  const licences = readFileSync(join(pageFolder, 'licences.md'), 'utf8');
  for (const name of ['preact', '@preact/signals', '@observablehq/plot', 'd3-scale'])
    expect(licences).toContain(`## ${name} - `);
});

test('help is there for every option that the page has a control for', () => {
  const texts = readDocstrings();
  for (const name of [
    'GenerateOptions.seed',
    'GenerateOptions.maskImage',
    'ClassifierFreeOptions.scale',
    'DetailOptions.layer',
    'DisruptionOptions.retention',
    'GuidanceWindow.start',
    'RetentionCurve.noise',
  ])
    expect([name, texts[name]?.length ?? 0]).toEqual([name, expect.any(Number)]);
  expect(Object.values(texts).filter((text) => /\b[A-Z]+_[A-Z_]+\b/.test(text))).toEqual([]);
});
