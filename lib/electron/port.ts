/** A message port as both of its ends see it: Electron's in the main and utility processes, the page's in a preload script. */

export interface Port {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** The other end is gone. */
  onClose(listener: () => void): void;
  close(): void;
}

/** Electron's `MessagePortMain`, as far as it is needed. */
export interface MainPort {
  /** Sends a message to the other end. */
  postMessage(message: unknown): void;
  /** Messages arrive from now on. */
  start(): void;
  /** Ends it. */
  close(): void;
  /** `message`: one arrived; `close`: the other end is gone. */
  on(event: 'message' | 'close', listener: (event: { data: unknown }) => void): unknown;
}

/** The page's `MessagePort`, as far as it is needed. */
export interface PagePort {
  postMessage(message: unknown): void;
  start(): void;
  close(): void;
  addEventListener(type: string, listener: (event: { data: unknown }) => void): void;
}

export function ofMain(port: MainPort): Port {
  return {
    post: (message) => port.postMessage(message),
    onMessage(listener) {
      port.on('message', ({ data }) => listener(data));
      port.start();
    },
    onClose: (listener) => void port.on('close', listener),
    close: () => port.close(),
  };
}

export function ofPage(port: PagePort): Port {
  return {
    post: (message) => port.postMessage(message),
    onMessage(listener) {
      port.addEventListener('message', ({ data }) => listener(data));
      port.start();
    },
    onClose: (listener) => port.addEventListener('close', listener),
    close: () => port.close(),
  };
}
