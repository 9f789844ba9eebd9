/** Node's permission model: what it gives, and what it says when it refuses. */

/** What it asks for, by what it calls it. */
const flags: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  ChildProcess: '--allow-child-process',
  WorkerThreads: '--allow-worker',
  Net: '--allow-net',
};

/** Whether a program may have threads, or use the network: also where this version of Node asks for no such permission. */
export const isPermitted = (scope: 'worker' | 'net'): boolean =>
  !('permission' in process) ||
  !process.allowedNodeEnvironmentFlags.has(`--allow-${scope}`) ||
  process.permission.has(scope);

/** A refusal in words; null for other errors. */
export function permissionRefusal(cause: unknown): string | null {
  const { code, permission = '', resource, message = '' } = (cause ?? {}) as Record<string, string | undefined>;
  if (code !== 'ERR_ACCESS_DENIED') return null;
  // What no flag gives is said in the message alone.
  if (!permission) return `Node's permission model refuses it: ${message.replace(/\.$/, '')}`;
  const flag = flags[permission];
  const what = `${permission}${resource ? ` of ${resource}` : ''}`;
  return `Node's permission model refuses ${what}${flag === undefined ? '' : `, which ${flag} gives`}`;
}
