/** What the file system refuses, in words. */
const refusals: Readonly<Record<string, string>> = {
  EACCES: 'writing there is not permitted',
  EPERM: 'writing there is not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  ENAMETOOLONG: 'the name is too long',
};

/** What Node's permission model asks for, by what it calls it. */
const permissions: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  ChildProcess: '--allow-child-process',
  WorkerThreads: '--allow-worker',
};

/** Of Node's permission model, for a refusal of it; null for other errors. */
export function permissionRefusal(cause: unknown): string | null {
  const { code, permission = '', resource, message } = (cause ?? {}) as Record<string, string | undefined>;
  if (code !== 'ERR_ACCESS_DENIED') return null;
  // What no flag gives is said in the message alone.
  if (!permission) return `Node's permission model refuses it: ${message}`;
  const flag = permissions[permission];
  const what = `${permission}${resource ? ` of ${resource}` : ''}`;
  return `Node's permission model refuses ${what}${flag === undefined ? '' : `, which ${flag} gives`}`;
}

/** A sentence's end for an error, by its code or by what it says of itself. @param own words of the caller, which go first */
export function refusalOf(cause: unknown, own: Readonly<Record<string, string>> = {}): string {
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  return (
    own[code] ?? refusals[code] ?? permissionRefusal(cause) ?? (cause instanceof Error ? cause.message : String(cause))
  );
}
