/**
 * The comments on the facade's options, as the module `virtual:docstrings`: the page's help is what an editor shows.
 * Read from the sources when the page is built, so that they are written once.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import ts from 'typescript';
import type { Plugin } from 'vite';

const library = join(import.meta.dirname, '..', 'lib');
const folders = ['request', 'guidance', 'schedule'];
const id = 'virtual:docstrings';

interface Documented {
  parents: string[];
  /** By name of the member. */
  comments: Map<string, string>;
}

export function docstrings(): Plugin {
  return {
    name: 'docstrings',
    resolveId: (source) => (source === id ? `\0${id}` : undefined),
    load: (source) => (source === `\0${id}` ? `export default ${JSON.stringify(readDocstrings())}` : undefined),
  };
}

/** By interface and member, `DetailOptions.scale`; and by interface alone. */
export function readDocstrings(): Record<string, string> {
  const interfaces = new Map<string, Documented>();
  const texts: Record<string, string> = {};
  for (const folder of folders) {
    for (const file of readdirSync(join(library, folder)).filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(library, folder, file), 'utf8');
      const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
      for (const statement of source.statements) {
        if (!ts.isInterfaceDeclaration(statement)) continue;
        const name = statement.name.text;
        const comment = commentOf(statement);
        if (comment) texts[name] = comment;
        interfaces.set(name, {
          parents: (statement.heritageClauses ?? []).flatMap((clause) =>
            clause.types.map(({ expression }) => expression.getText(source)),
          ),
          comments: new Map(
            statement.members.flatMap((member) => {
              const said = commentOf(member);
              return member.name && said ? [[member.name.getText(source), said] as const] : [];
            }),
          ),
        });
      }
    }
  }
  const write = (name: string, from: string): void => {
    const { parents, comments } = interfaces.get(from) ?? { parents: [], comments: new Map<string, string>() };
    for (const parent of parents) write(name, parent);
    for (const [member, comment] of comments) texts[`${name}.${member}`] = comment;
  };
  for (const name of interfaces.keys()) write(name, name);
  return texts;
}

function commentOf(node: ts.Node): string {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  // The codes of errors mean something to programs alone.
  return (ts.getTextOfJSDocComment(comment?.comment) ?? '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll(/\s?\b[A-Z]+_[A-Z_]+\b[^.;]*[.;]/g, '')
    .trim();
}
