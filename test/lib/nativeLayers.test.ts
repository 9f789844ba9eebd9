/** C++ includes go one way: the layers that docs/architecture.md states, and no circle. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');

/** Of each file of ours the files of ours that it includes. */
function includes(): Map<string, string[]> {
  const files = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(h|cc|cu|cuh)$/.test(file))
    .map((file) => `native/${file}`);
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return [file, [...text.matchAll(/^#include "(native\/[^"]+)"/gm)].map(([, included]) => included!)];
    }),
  );
}

/** The list in docs/architecture.md: what stands there may include what stands above it. */
function statedLayers(): string[] {
  const [, section] = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8').split('## Layers of the C++ side\n');
  return [...section!.split('\n## ')[0]!.matchAll(/^\d+\. `native\/([^`]+)`/gm)].map(([, layer]) => `native/${layer}`);
}

/** Files that include an earlier one of the path that leads to them. */
function findCircle(graph: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return null;
}

describe('includes of the C++ side', () => {
  const graph = includes();
  const layers = statedLayers();
  const layerOf = (file: string) => layers.findIndex((layer) => file === layer || file.startsWith(layer));

  test('every file is in a layer', () => {
    expect(layers.length).toBeGreaterThan(5);
    expect([...graph.keys()].filter((file) => layerOf(file) < 0)).toEqual([]);
  });

  test('none points upward', () => {
    const upward = [...graph].flatMap(([file, included]) =>
      included.filter((other) => layerOf(other) > layerOf(file)).map((other) => `${file} -> ${other}`),
    );
    expect(upward).toEqual([]);
  });

  test('no circle', () => expect(findCircle(graph)).toBeNull());

  test('a circle and an upward include would be found', () => {
    expect(findCircle(new Map(Object.entries({ a: ['b'], b: ['c'], c: ['a'] })))).toEqual(['a', 'b', 'c', 'a']);
    expect(layerOf('native/core/sampling/plan.h')).toBeGreaterThan(layerOf('native/core/graph/cut.h'));
  });

  test('only the binding and the loader know Node', () => {
    const outside = [...graph.keys()].filter((file) => !/^native\/(binding|preload)\//.test(file));
    const node = outside.filter((file) => /#include <(napi|node|uv)/.test(readFileSync(join(root, file), 'utf8')));
    expect(node).toEqual([]);
  });
});
