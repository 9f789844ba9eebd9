/** A titled part of the settings that can be folded away. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

interface PanelProps {
  title: string;
  /** Opens it when it becomes true; nothing folds it but the user. */
  open?: boolean;
  children: ComponentChildren;
}

export function Panel({ title, open = true, children }: PanelProps) {
  const details = useRef<HTMLDetailsElement>(null);
  useLayoutEffect(() => {
    if (open) details.current!.open = true;
  }, [open]);
  return (
    <details ref={details} class="panel">
      <summary>{title}</summary>
      <div class="panel-body">{children}</div>
    </details>
  );
}
