/**
 * What of Electron is used, as its types describe it, and Electron itself where there is one. Nothing here needs the
 * `electron` package: its objects fit these interfaces.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { packageRoot } from '../files/packageRoot';
import { invalid } from '../validation/invalid';

import type { MainPort } from './port';

/** Electron's `UtilityProcess`. */
export interface UtilityProcessLike {
  readonly pid: number | undefined;
  postMessage(message: unknown, transfer?: MainPort[]): void;
  on(event: string, listener: (argument: never) => void): unknown;
  kill(): boolean;
}

/** The frame that a message comes from, and where it is sent back to. */
export interface FrameLike {
  /** Sends a message and ports to the frame's preload script. */
  postMessage(channel: string, message: unknown, transfer?: MainPort[]): void;
}

/** Electron's `webContents.ipc`. */
export interface IpcLike {
  /** Listens to what the page's preload scripts send. */
  on(channel: string, listener: (event: { senderFrame: FrameLike | null }) => void): unknown;
  /** Ends that. */
  removeListener(channel: string, listener: (event: { senderFrame: FrameLike | null }) => void): unknown;
  /** Answers what they ask. */
  handle(channel: string, listener: (event: { senderFrame: FrameLike | null }, ...args: unknown[]) => unknown): void;
  /** Ends that. */
  removeHandler(channel: string): void;
}

/** Electron's `BrowserWindow`, as far as it is needed. */
export interface WindowLike {
  /** Its page. */
  readonly webContents: {
    /** Messages of this page alone. */
    readonly ipc: IpcLike;
    /** The page itself, without frames in it. */
    readonly mainFrame: FrameLike;
    /** Sends a message to the preload script. */
    send(channel: string, ...args: unknown[]): void;
    /** Whether the page is gone. */
    isDestroyed(): boolean;
  };
  /** Whether the window is gone. */
  isDestroyed(): boolean;
  /** From 0 to 1; below 0 there is none. */
  setProgressBar(progress: number): void;
  /** Calls the listener when the window is gone. */
  once(event: 'closed', listener: () => void): unknown;
}

interface FileFilter {
  name: string;
  extensions: string[];
}

export interface ElectronMain {
  app: {
    once(event: 'will-quit', listener: () => void): unknown;
    removeListener(event: 'will-quit', listener: () => void): unknown;
  };
  utilityProcess: {
    fork(file: string, args: string[], options: { serviceName: string; env?: NodeJS.ProcessEnv }): UtilityProcessLike;
  };
  MessageChannelMain: new () => { port1: MainPort; port2: MainPort };
  dialog: {
    showOpenDialog(
      window: WindowLike,
      options: { properties: 'openFile'[]; filters: FileFilter[] },
    ): Promise<{ canceled: boolean; filePaths: string[] }>;
    showSaveDialog(
      window: WindowLike,
      options: { defaultPath: string; filters: FileFilter[] },
    ): Promise<{ canceled: boolean; filePath: string }>;
  };
}

/** @throws BAD_OPTION anywhere but in Electron's main process */
export function electronMain(): ElectronMain {
  const { type } = process as { type?: string };
  if (type !== 'browser') {
    const place = process.versions.electron ? `Electron’s ${type ?? 'helper'} process` : `Node ${process.version}`;
    throw invalid('detail-guidance/electron', "Electron's main process", place, { shown: place });
  }
  return createRequire(join(packageRoot(), 'package.json'))('electron') as ElectronMain;
}
