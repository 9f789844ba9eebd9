// The layers of lib/, from the ground up: a file may import what stands in its own room or below it. Run by `npm test`.
'use strict';

const layers = [
  'validation',
  'files',
  'native',
  'tensor',
  'image',
  'aside',
  'schedule',
  'bundle',
  'guidance',
  '(text|vae)',
  'request',
  'plan',
  'model',
  'call',
  'activations',
  'pipeline',
  '(analysis|evaluation|check|packaging)',
  'index.ts',
  'server',
  '(cli|electron)',
];

const room = (names) => `^lib/(${names.join('|')})(/|$)`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layers.slice(0, -1).map((layer, index) => ({
      name: `${layer} imports nothing above it`,
      severity: 'error',
      from: { path: room([layer]) },
      to: { path: room(layers.slice(index + 1)) },
    })),
    { name: 'no circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'rooms side by side do not know each other',
      severity: 'error',
      from: { path: '^lib/(text|analysis)/' },
      to: { path: '^lib/(vae|evaluation)/' },
    },
    {
      name: 'every room has a layer',
      severity: 'error',
      from: { path: '^lib/', pathNot: room(layers) },
      to: {},
    },
    {
      name: 'the studio has types of lib, and of its code only what needs no Node',
      severity: 'error',
      from: { path: '^studio/' },
      to: { path: '^lib/', pathNot: '^lib/(guidance/presets|image/pngText)\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    { name: 'lib does not know the studio', severity: 'error', from: { path: '^lib/' }, to: { path: '^studio/' } },
    {
      name: 'only load.ts of native touches the addon',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/native/load\\.ts$' },
      to: { path: '\\.node$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
};
