declare module 'virtual:docstrings' {
  /** By interface and member, `DetailOptions.scale`. */
  const texts: Record<string, string>;
  export default texts;
}

/** Of the package that the page was built with. */
declare const __VERSION__: string;
