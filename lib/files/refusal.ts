import { permissionRefusal } from './permission';

/** What the file system refuses, in words. */
const refusals: Readonly<Record<string, string>> = {
  EACCES: 'writing there is not permitted',
  EPERM: 'writing there is not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  ENAMETOOLONG: 'the name is too long',
};

/** A sentence's end for an error, by its code or by what it says of itself. @param own words of the caller, which go first */
export function refusalOf(cause: unknown, own: Readonly<Record<string, string>> = {}): string {
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  return (
    own[code] ?? refusals[code] ?? permissionRefusal(cause) ?? (cause instanceof Error ? cause.message : String(cause))
  );
}
