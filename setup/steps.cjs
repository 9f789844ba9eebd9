'use strict';
// Runs the programs of set-up: one line when a step begins, a sign of life while it lasts, the log's end when it fails.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { cacheFolder, makeFolder } = require('./cache.cjs');
const { SetupError } = require('./failure.cjs');

const SIGN_OF_LIFE_MS = 20_000;

/** @param {number} since @returns {string} */
const elapsed = (since) => `${Math.round((Date.now() - since) / 1000)} s`;

/** @param {string} line */
const say = (line) => void process.stderr.write(`${line}\n`);

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onOutput?: (text: string) => void }} [options]
 * @returns {Promise<number>} exit status; 127 when the program could not be started, 128 after a signal
 */
function execute(program, args, { cwd, env, onOutput } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', (text) => onOutput?.(text));
    child.stderr.setEncoding('utf8').on('data', (text) => onOutput?.(text));
    child.on('error', (error) => {
      onOutput?.(`${program}: ${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code) => resolve(code ?? 128));
  });
}

/**
 * Says that something begins, and gives a sign of life while it lasts.
 * @template T
 * @param {string} name as the user reads it
 * @param {() => Promise<T>} work
 * @param {() => string} [quote] how far it is
 * @returns {Promise<T>}
 */
async function announce(name, work, quote = () => '') {
  const started = Date.now();
  say(`> ${name}`);
  const timer = setInterval(() => say(`  ${name}: ${elapsed(started)} ${quote()}`.trimEnd()), SIGN_OF_LIFE_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/**
 * The file that keeps the whole output of a step. Where the disk is full it lacks the rest: the step itself says so.
 * @param {string} name
 */
function openLog(name) {
  const folder = path.join(cacheFolder(), 'logs');
  makeFolder(folder);
  const place = path.join(folder, `${name.replace(/[^\w.]+/g, '-')}.log`);
  const file = fs.openSync(place, 'w');
  /** @param {string} text */
  const write = (text) => {
    try {
      fs.writeSync(file, text);
    } catch {
      // Thrown here, in a listener, it would end the process.
    }
  };
  return { place, write, close: () => fs.closeSync(file) };
}

/**
 * Runs one step of set-up and throws a SetupError with the end of its output when it fails. The whole output is kept
 * in the cache's `logs` folder.
 * @param {string} name as the user reads it
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, waysOut?: string[], progress?: RegExp }} [options] `progress`: what
 *   to quote from the output in the signs of life, e.g. the compiler's `[3/20]`
 */
async function step(name, program, args, { cwd, env, waysOut, progress } = {}) {
  const started = Date.now();
  const log = openLog(name);
  let tail = '';
  let quoted = '';
  const onOutput = (/** @type {string} */ text) => {
    log.write(text);
    tail = (tail + text).slice(-4000);
    if (progress) quoted = text.match(progress)?.[0] ?? quoted;
  };
  const run = () => execute(program, args, { cwd, env, onOutput });
  const status = await announce(name, run, () => quoted);
  log.close();
  if (status !== 0) {
    const end = tail.trimEnd().split('\n').slice(-25).join('\n    ');
    throw new SetupError(`${name}: ${program} ended with status ${status} after ${elapsed(started)}.\n    ${end}`, {
      found: [`the whole output: ${log.place}`],
      waysOut,
    });
  }
  say(`  ${name}: done in ${elapsed(started)}`);
}

module.exports = { announce, step, execute, say, elapsed };
