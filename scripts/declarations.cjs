'use strict';
// After tsup: makes the declarations shorter to read. Comments that belong to nothing go, which are those at the head of
// each source file: an editor shows none of them. So do empty lines before a comment's tags. What an application's own
// target may lack is named.

const { readdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const ts = require('typescript');

/**
 * Of the comments before a statement only the last one can belong to it, and does on the line above it.
 *
 * @param {string} text of a declaration file
 * @returns {string} the same without the others
 */
function withoutLooseComments(text) {
  const file = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest);
  const loose = file.statements.flatMap((statement) => {
    const comments = ts.getLeadingCommentRanges(text, statement.pos) ?? [];
    const last = comments.at(-1);
    const isOwn = last && !text.slice(last.end, statement.getStart(file)).includes('\n\n');
    return isOwn ? comments.slice(0, -1) : comments;
  });
  const rest = loose.reduceRight((before, { pos, end }) => before.slice(0, pos) + before.slice(end), text);
  return rest.replace(/\n{3,}/g, '\n\n').replace(/^ *\*\n(?= *\* @)/gm, '');
}

/** What the declarations name and the libraries of an older target do not have. @param {string} text */
function withLibraries(text) {
  return /\bSymbol\.(async)?[dD]ispose\b/.test(text) ? `/// <reference lib="esnext.disposable" />\n${text}` : text;
}

/** @param {string} folder */
function tidyDeclarations(folder) {
  for (const name of readdirSync(folder)) {
    if (!/\.d\.c?ts$/.test(name)) continue;
    const file = path.join(folder, name);
    writeFileSync(file, withLibraries(withoutLooseComments(readFileSync(file, 'utf8')).trimStart()));
  }
}

tidyDeclarations(path.join(__dirname, '..', 'dist'));
