/** The compose file, as far as it can be held without Docker: a parser reads it, and its commands are the program's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { parse } from 'yaml';

import { serveCommand } from '../../lib/cli/serve';
import { workerCommand } from '../../lib/cli/worker';
import { packageRoot } from '../../lib/files/packageRoot';

const folder = join(packageRoot(), 'examples', 'many-machines');

interface Service {
  command: string;
  build?: string;
  image?: string;
  volumes: string[];
  ports?: string[];
  deploy?: { replicas: number };
}

const { services, volumes } = parse(readFileSync(join(folder, 'compose.yaml'), 'utf8')) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};

test('one server, two workers, one Redis', () => {
  expect(Object.keys(services)).toEqual(['redis', 'server', 'worker']);
  expect(services['worker']!.deploy!.replicas).toBe(2);
  // Nobody else's machine reaches it as it stands.
  expect(services['server']!.ports).toEqual(['127.0.0.1:7860:7860']);
  for (const { volumes: used } of Object.values(services)) {
    for (const name of used.map((volume) => volume.split(':')[0]!)) expect(Object.keys(volumes)).toContain(name);
  }
});

test.each([
  ['server', serveCommand],
  ['worker', workerCommand],
])('the command of the %s is one that the program takes', (name, commandOf) => {
  const [program, ...args] = services[name]!.command.split(' ');
  const command = commandOf();
  expect(program).toBe(command.name());
  const { unknown, operands } = command.parseOptions(args);
  expect(unknown).toEqual([]);
  expect(operands).toEqual(['embedded']);
  expect(command.opts()).toMatchObject({ redis: 'redis://redis:6379', results: '/pictures' });
});

test('the Dockerfile is the one they are built from', () => {
  const text = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  expect(services['server']!.build).toBe('.');
  expect(text).toMatch(/^FROM node:\d+/m);
  expect(text).toMatch(/^USER node$/m);
  expect(text).toMatch(/npx detail-guidance setup --yes/);
  // Node itself is told to stop, and every user finds the cache.
  const { bin } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { bin: object };
  const program = `/app/node_modules/detail-guidance/${Object.values(bin)[0]}`;
  expect(text).toContain(`ENTRYPOINT ["node", "${program}"]`);
  expect(text).toMatch(/^ENV DETAIL_GUIDANCE_CACHE=\/app\/cache$/m);
});
