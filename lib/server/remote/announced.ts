/** The workers that have announced themselves lately. */
import type { Redis } from 'ioredis';

import { announcementKey, type Announcement } from './protocol';

export async function announcedWorkers(client: Redis): Promise<Announcement[]> {
  const keys = new Set<string>();
  // Not KEYS: it holds Redis up, and careful operators forbid it.
  const scan = client.scanStream({ match: announcementKey('*'), count: 1000 });
  for await (const some of scan as AsyncIterable<string[]>) for (const key of some) keys.add(key);
  const texts = keys.size > 0 ? await client.mget([...keys]) : [];
  return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as Announcement);
}
