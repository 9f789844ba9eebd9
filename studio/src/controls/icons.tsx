/** The few pictures that buttons have; each button says in words what it does. */
const Icon = ({ path }: { path: string }) => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path
      d={path}
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
    />
  </svg>
);

export const DiceIcon = () => (
  <Icon path="M3 2.5h10a.5.5 0 0 1 .5.5v10a.5.5 0 0 1-.5.5H3a.5.5 0 0 1-.5-.5V3a.5.5 0 0 1 .5-.5ZM5.4 5.4h.01M10.6 5.4h.01M8 8h.01M5.4 10.6h.01M10.6 10.6h.01" />
);
export const LockIcon = ({ closed }: { closed: boolean }) => (
  <Icon path={`M3.5 7.5h9v6h-9ZM5.5 7.5V5a2.5 2.5 0 0 1 5 0${closed ? 'v2.5' : ''}`} />
);
export const CloseIcon = () => <Icon path="M4 4l8 8M12 4l-8 8" />;
export const SaveIcon = () => <Icon path="M8 2.5v8M4.8 7.6 8 10.8l3.2-3.2M3 13.5h10" />;
export const SunIcon = () => (
  <Icon path="M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9" />
);
