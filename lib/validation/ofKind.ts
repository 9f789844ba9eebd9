/** What tells the forms of an option, of a plan or of a bundle apart. */

/** One of several forms. */
export interface OfKind<Kind extends string> {
  /** Which form it is. */
  kind: Kind;
}

/** One of several warnings. */
export interface WarningOf<Code extends string> {
  /** Which warning it is. */
  code: Code;
  /** A whole sentence, for people. */
  message: string;
}
