'use strict';
// One set-up at a time in a cache folder: two would take each other's half-made environment for a broken one.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { findCacheFolder, makeFolder } = require('./cache.cjs');
const { say } = require('./steps.cjs');

const POLL_MS = 500;
const HEARTBEAT_MS = 5_000;
/** Without a sign of life for so long its owner is gone: killed on another machine, or the machine was switched off. */
const STALE_MS = 60_000;

/** Of this process: work inside work does not wait for itself. */
let isHeld = false;

/** Whether the owner of a lock will never remove it. @param {string} file */
function isAbandoned(file) {
  let owner = '';
  try {
    owner = fs.readFileSync(file, 'utf8');
    if (Date.now() - fs.statSync(file).mtimeMs > STALE_MS) return true;
  } catch {
    // Removed meanwhile.
    return false;
  }
  const [pid, host] = owner.split(' ');
  // Numbers of processes say nothing on another machine, or in another container.
  if (host !== os.hostname() || !Number(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/** @param {string} file @returns {boolean} whether it is this process's now */
function take(file) {
  try {
    fs.writeFileSync(file, `${process.pid} ${os.hostname()}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    return false;
  }
}

/**
 * Takes a lock that is free, or whose owner is gone, and shows that it is held.
 * @param {string} file
 * @returns {(() => void) | null} gives it back; null where another has it
 */
function hold(file) {
  while (!take(file)) {
    if (!isAbandoned(file)) return null;
    fs.rmSync(file, { force: true });
  }
  const timer = setInterval(() => fs.utimes(file, new Date(), new Date(), () => {}), HEARTBEAT_MS);
  const remove = () => fs.rmSync(file, { force: true });
  process.once('exit', remove);
  return () => {
    clearInterval(timer);
    process.off('exit', remove);
    remove();
  };
}

/**
 * Does work that changes the cache folder while no other process does.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function exclusively(work) {
  const folder = findCacheFolder();
  // Where there is no folder to share nobody else can be in it.
  if (isHeld || !folder) return work();
  makeFolder(folder);
  const file = path.join(folder, 'setup.lock');
  let isSaid = false;
  let release = hold(file);
  while (!release) {
    if (!isSaid) say(`> another set-up works in ${folder}: waiting for it (${file})`);
    isSaid = true;
    await sleep(POLL_MS);
    release = hold(file);
  }
  isHeld = true;
  try {
    return await work();
  } finally {
    release();
    isHeld = false;
  }
}

module.exports = { exclusively, hold };
