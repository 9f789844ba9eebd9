/** Observable Plot, loaded when the first plot is drawn: it is larger than the rest of the page. */
import type * as Library from '@observablehq/plot';

let library: Promise<typeof Library> | null = null;

export const loadPlot = (): Promise<typeof Library> => (library ??= import('@observablehq/plot'));
