/** A plot of Observable Plot's, in the width that there is; drawn anew when its data or its place change. */
import type * as Library from '@observablehq/plot';
import { useEffect, useRef, useState } from 'preact/hooks';

import { loadPlot } from './plotting';

interface PlotProps {
  /** In words, for who does not see it. */
  label: string;
  height: number;
  /** Whatever the options are made of: the plot is drawn anew when one of it changes. */
  of: readonly unknown[];
  options: (plot: typeof Library, width: number) => Library.PlotOptions;
  onDrawn?: (figure: SVGSVGElement | HTMLElement) => void;
}

export function Plot({ label, height, of, options, onDrawn }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(place.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (width === 0) return;
    let isCurrent = true;
    void loadPlot().then((plot) => {
      if (!isCurrent || !place.current) return;
      const figure = plot.plot({
        width,
        height,
        marginLeft: 44,
        marginRight: 12,
        style: { background: 'none', fontSize: '11px', fontFamily: 'inherit', overflow: 'visible' },
        ...options(plot, width),
      });
      figure.setAttribute('aria-hidden', 'true');
      place.current.replaceChildren(figure);
      onDrawn?.(figure as SVGSVGElement);
    });
    return () => {
      isCurrent = false;
    };
  }, [width, height, ...of]);
  return <div ref={place} class="plot" role="img" aria-label={label} style={{ minHeight: `${height}px` }} />;
}
