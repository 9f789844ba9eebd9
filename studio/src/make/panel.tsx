/** A titled part of the settings that can be folded away. */
import type { ComponentChildren } from 'preact';

interface PanelProps {
  title: string;
  open?: boolean;
  children: ComponentChildren;
}

export function Panel({ title, open = true, children }: PanelProps) {
  return (
    <details class="panel" open={open}>
      <summary>{title}</summary>
      <div class="panel-body">{children}</div>
    </details>
  );
}
