/** What a preload script finds in Electron, as far as it is used; the package `electron` is not needed for it. */
declare module 'electron' {
  export const contextBridge: { exposeInMainWorld(name: string, api: unknown): void };
  export const ipcRenderer: {
    send(channel: string, ...args: unknown[]): void;
    invoke(channel: string, ...args: unknown[]): Promise<unknown>;
    on(channel: string, listener: (event: { ports: unknown[] }, ...args: unknown[]) => void): unknown;
  };
}
