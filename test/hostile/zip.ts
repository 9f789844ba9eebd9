/** Zip archives as torch.jit.save writes them, and as it never would. */
import { deflateRawSync } from 'node:zlib';

export interface ZipRecord {
  /** With the archive's folder. */
  name: string;
  data: Buffer;
  /** Default false: stored as it is. */
  deflate?: boolean;
  /** What the directory says, where that is not so. */
  declared?: { size?: number; stored?: number; local?: number; flags?: number; method?: number; localName?: string };
}

interface End {
  /** Default: as many as there are. */
  entries?: number;
  comment?: Buffer;
}

/** The archive with its records in order. */
export function writeZip(records: readonly ZipRecord[], end: End = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, data, deflate = false, declared = {} } of records) {
    const bytes = deflate ? deflateRawSync(data, { level: 9 }) : data;
    const { size = data.length, stored = bytes.length, flags = 0x808 } = declared;
    const method = declared.method ?? (deflate ? 8 : 0);
    const localName = Buffer.from(declared.localName ?? name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(clamp(stored), 18);
    local.writeUInt32LE(clamp(size), 22);
    local.writeUInt16LE(localName.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(clamp(stored), 20);
    entry.writeUInt32LE(clamp(size), 24);
    entry.writeUInt16LE(Buffer.byteLength(name), 28);
    entry.writeUInt32LE(declared.local ?? at, 42);
    parts.push(local, localName, bytes);
    directory.push(entry, Buffer.from(name));
    at += 30 + localName.length + bytes.length;
  }
  const entries = end.entries ?? records.length;
  const comment = end.comment ?? Buffer.alloc(0);
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(entries & 0xffff, 8);
  tail.writeUInt16LE(entries & 0xffff, 10);
  tail.writeUInt32LE(Buffer.concat(directory).length, 12);
  tail.writeUInt32LE(at, 16);
  tail.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, ...directory, tail, comment]);
}

/** The records of an archive of torch.jit.save, which stores them as they are. */
export function readZip(archive: Buffer): ZipRecord[] {
  const records: ZipRecord[] = [];
  const locator = archive.length - 22 - 20;
  const wide = locator >= 0 && archive.readUInt32LE(locator) === 0x07064b50;
  const end = archive.length - 22;
  let at = wide
    ? Number(archive.readBigUInt64LE(Number(archive.readBigUInt64LE(locator + 8)) + 48))
    : archive.readUInt32LE(end + 16);
  while (archive.readUInt32LE(at) === 0x02014b50) {
    const [nameLength, extraLength] = [archive.readUInt16LE(at + 28), archive.readUInt16LE(at + 30)];
    const name = archive.toString('latin1', at + 46, at + 46 + nameLength);
    const local = archive.readUInt32LE(at + 42);
    const begin = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    records.push({ name, data: archive.subarray(begin, begin + archive.readUInt32LE(at + 24)) });
    at += 46 + nameLength + extraLength;
  }
  return records;
}

const clamp = (size: number): number => Math.min(size, 0xffffffff) >>> 0;
