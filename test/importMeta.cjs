'use strict';
// Jest runs CommonJS; the decoders of jSquash are ES modules that ask, and write, import.meta.url.
const { transformSync } = require('@swc/core');

module.exports = {
  /** @param {string} source @param {string} filename */
  process(source, filename) {
    const named = `var moduleUrl = require('node:url').pathToFileURL(__filename).href;${source.replaceAll('import.meta.url', 'moduleUrl')}`;
    return transformSync(named, { filename, jsc: { target: 'es2022' }, module: { type: 'commonjs' } });
  },
};
