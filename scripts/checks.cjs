'use strict';
// What `npm test` runs: formatters and linters, types, C++ tests, TypeScript tests, Python tests. Each says what it
// does; what cannot run here is skipped with its reason; the last line counts all of them.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, buildFolder, listFiles } = require('../setup/cache.cjs');
const { privateEnvironment } = require('../setup/libtorch.cjs');
const { programPath } = require('./programs.cjs');
const { ensureTestPackages, testPython } = require('./test-packages.cjs');
const { programOf } = require('../setup/python.cjs');
const { build } = require('../setup/build.cjs');
const { elapsed, execute, say } = require('../setup/steps.cjs');

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {object} Check
 * @property {string} name
 * @property {'lint' | 'types' | 'native' | 'lib' | 'models'} group
 * @property {() => { program: string, args: string[], env?: NodeJS.ProcessEnv, skip?: string }} command
 * @property {(output: string) => Counts | null} [count] of its tests; a check without it counts as one
 * @property {boolean} [streams] its output is shown as it comes
 */

const CPLUSPLUS = /\.(cc|h)$/;
const cplusplusFiles = () => listFiles(['bench', 'native', 'test/native'], CPLUSPLUS);

/** A program of the private Python environment. @param {string} name @param {string[]} args */
function pythonTool(name, args) {
  const program = programOf(privateEnvironment(), name);
  const skip = fs.existsSync(program) ? undefined : `${name} is not installed in the private Python environment`;
  return { program, args, skip };
}

/** @param {Parameters<typeof programPath>[0]} name @param {string[]} args */
const nodeTool = (name, args) => ({ program: process.execPath, args: [programPath(name), ...args] });

const reports = fs.mkdtempSync(path.join(os.tmpdir(), 'detail-guidance-test-'));
const jestReport = path.join(reports, 'jest.json');
const pytestReport = path.join(reports, 'pytest.xml');

/** @returns {Counts | null} */
function countJest() {
  try {
    const report = JSON.parse(fs.readFileSync(jestReport, 'utf8'));
    return {
      passed: report.numPassedTests,
      // A file that does not even load has no failed test of its own.
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch {
    return null;
  }
}

/** @returns {Counts | null} */
function countPytest() {
  try {
    const suite = fs.readFileSync(pytestReport, 'utf8').match(/<testsuite [^>]*>/)?.[0] ?? '';
    const [tests, failures, errors, skipped] = ['tests', 'failures', 'errors', 'skipped'].map((name) =>
      Number(suite.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? Number.NaN),
    );
    const failed = (failures ?? 0) + (errors ?? 0);
    return { passed: (tests ?? 0) - failed - (skipped ?? 0), failed, skipped: skipped ?? 0 };
  } catch {
    return null;
  }
}

/** @param {string} output @returns {Counts | null} */
function countCtest(output) {
  const [, programs, all] = output.match(/tests passed, (\d+) tests failed out of (\d+)/) ?? [];
  if (all === undefined) return null;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  // What doctest calls skipped are the cases of the other files.
  for (const [, passed, failed] of output.matchAll(/test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed/g)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
  }
  // A program that dies has no summary.
  return { ...counts, failed: Math.max(counts.failed, Number(programs)) };
}

/** @type {Check[]} */
const CHECKS = [
  { name: 'prettier', group: 'lint', command: () => nodeTool('prettier', ['--check', '.']) },
  { name: 'eslint', group: 'lint', command: () => nodeTool('eslint', ['--max-warnings', '0', '.']) },
  { name: 'imports go one way', group: 'lint', command: () => nodeTool('depcruise', ['lib', 'studio']) },
  {
    name: 'clang-format',
    group: 'lint',
    command: () => pythonTool('clang-format', ['--dry-run', '-Werror', ...cplusplusFiles()]),
  },
  {
    name: 'cpplint',
    group: 'lint',
    command: () => pythonTool('cpplint', ['--quiet', '--recursive', ...cplusplusFiles()]),
  },
  { name: 'ruff check', group: 'lint', command: () => pythonTool('ruff', ['check', '.']) },
  { name: 'ruff format', group: 'lint', command: () => pythonTool('ruff', ['format', '--check', '.']) },
  { name: 'tsc', group: 'types', command: () => nodeTool('tsc', ['-p', '.']) },
  { name: 'tsc of the studio', group: 'types', command: () => nodeTool('tsc', ['-p', 'studio']) },
  {
    name: 'ctest',
    group: 'native',
    streams: true,
    count: countCtest,
    command: () => {
      // ctest is beside cmake, whichever that is.
      const cache = fs.readFileSync(path.join(buildFolder(), 'cmake', 'CMakeCache.txt'), 'utf8');
      const program = cache.match(/^CMAKE_CTEST_COMMAND:INTERNAL=(.*)$/m)?.[1] ?? 'ctest';
      return { program, args: ['--test-dir', path.join(buildFolder(), 'cmake'), '--verbose'] };
    },
  },
  {
    name: 'jest',
    group: 'lib',
    streams: true,
    count: countJest,
    command: () => nodeTool('jest', ['--json', `--outputFile=${jestReport}`, '--passWithNoTests']),
  },
  {
    name: 'pytest',
    group: 'models',
    streams: true,
    count: countPytest,
    command: () => {
      const { path: python, reason } = testPython();
      const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', `--junitxml=${pytestReport}`, 'test/models'];
      return { program: python ?? 'python3', args, skip: reason ?? undefined };
    },
  },
];

/**
 * @param {Check} check
 * @returns {Promise<Counts>}
 */
async function runCheck({ name, command, count, streams }) {
  const { program, args, env, skip } = command();
  if (skip) {
    say(`- ${name}: skipped, ${skip}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const started = Date.now();
  say(`> ${name}`);
  let output = '';
  const status = await execute(program, args, {
    cwd: root,
    // Waiting OpenMP threads sleep: two test programs at once would otherwise spin on each other's cores.
    env: { OMP_WAIT_POLICY: 'PASSIVE', ...process.env, ...env },
    onOutput: (text) => {
      output += text;
      if (streams) process.stdout.write(text);
    },
  });
  if (status !== 0 && !streams) process.stdout.write(output.endsWith('\n') ? output : `${output}\n`);
  const counts = count?.(output) ?? { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
  // A runner that fails without a failed test (a crash, no test found) has failed all the same.
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  say(`  ${name}: ${status === 0 ? 'passed' : 'FAILED'} in ${elapsed(started)}`);
  return counts;
}

/**
 * Set-up for the checks, then the checks.
 * @param {{ only?: string[], ensureDist: () => Promise<void> }} options `only`: names or groups of checks
 * @returns {Promise<number>} exit status
 */
async function runChecks({ only = [], ensureDist }) {
  const started = Date.now();
  const chosen = CHECKS.filter(({ name, group }) => only.length === 0 || only.includes(name) || only.includes(group));
  if (chosen.length === 0) {
    say(`There is no check ${only.join(', ')}; there are ${CHECKS.map(({ name }) => name).join(', ')}.`);
    return 1;
  }
  if (chosen.some(({ group }) => group === 'native' || group === 'lib')) {
    await build({ tests: true });
    await ensureDist();
  }
  try {
    await ensureTestPackages();
  } catch (error) {
    say(`The Python packages of the tests could not be installed; what needs them is skipped.\n${error}`);
  }
  const python = testPython();
  if (python.path) process.env.DETAIL_GUIDANCE_PYTHON ??= python.path;
  else say(`- parity against Python: skipped, ${python.reason}`);

  const total = { passed: 0, failed: 0, skipped: 0 };
  /** @type {string[]} */
  const failures = [];
  for (const check of chosen) {
    const counts = await runCheck(check);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    if (counts.failed) failures.push(check.name);
  }
  say(failures.length ? `Failed: ${failures.join(', ')} (${elapsed(started)})` : `All passed (${elapsed(started)})`);
  const skipped = total.skipped ? `, ${total.skipped} skipped` : '';
  process.stdout.write(`${total.passed} passed, ${total.failed} failed${skipped}\n`);
  fs.rmSync(reports, { recursive: true, force: true });
  return total.failed ? 1 : 0;
}

/** Formats everything in place. @returns {Promise<number>} exit status */
async function format() {
  await ensureTestPackages();
  let status = 0;
  for (const { program, args } of [
    nodeTool('prettier', ['--write', '--log-level', 'warn', '.']),
    pythonTool('clang-format', ['-i', ...cplusplusFiles()]),
    pythonTool('ruff', ['check', '--fix', '--quiet', '.']),
    pythonTool('ruff', ['format', '--quiet', '.']),
  ]) {
    status ||= await execute(program, args, { cwd: root, onOutput: (text) => process.stdout.write(text) });
  }
  return status;
}

module.exports = { runChecks, format };
