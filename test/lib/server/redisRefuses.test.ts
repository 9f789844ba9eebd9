/** Many machines whose Redis refuses: its complaints, its rights, and how a server and a worker end meanwhile. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Redis } from 'ioredis';

import { packageRoot } from '../../../lib/files/packageRoot';
import { loadBullMq, sayingOnce } from '../../../lib/server/remote/connection';

import { Machines, short, until, withRedis } from './machines';

describe('complaints', () => {
  test('are logged once in ten minutes, though several connections hear them in turn', () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(0);
    const warn = jest.fn();
    const say = sayingOnce({ warn });
    const hear = () => ['away', 'closed', 'away', 'closed'].forEach((message) => say(new Error(message)));
    hear();
    now.mockReturnValue(599_999);
    hear();
    expect(warn.mock.calls).toEqual([
      [{ err: 'away' }, 'redis'],
      [{ err: 'closed' }, 'redis'],
    ]);
    now.mockReturnValue(600_000);
    hear();
    expect(warn).toHaveBeenCalledTimes(4);
    now.mockRestore();
  });

  test.each(['http://me:a-secret@127.0.0.1', 'redis://me:a-secret@127.0.0.1:99999', 'redis://:a-secret@', ''])(
    '%j is no address of a Redis, and its password is not told',
    async (url) => {
      const error = (await loadBullMq(url).catch((reason: unknown) => reason)) as Error;
      expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(/^redis: expected a URL/) });
      expect(JSON.stringify([error, error.message, error.cause])).not.toContain('a-secret');
    },
  );
});

withRedis('a Redis that refuses', () => {
  let machines: Machines;
  let redis: ChildProcess;
  let operator: Redis;
  beforeAll(async () => {
    machines = await Machines.prepare();
    ({ redis, operator } = machines.operateRedis());
    await operator.call('ACL', 'SETUSER', 'default', 'on', 'resetpass', '>the-password');
    // Least of what a server and a worker need (docs/server.md).
    const rights = ['~bull:*', '~detail-guidance:*', '&detail-guidance:*', '+@all', '-@dangerous', '+info'];
    await operator.call('ACL', 'SETUSER', 'careful', 'on', '>another-one', ...rights);
    await operator.call(
      'ACL',
      'SETUSER',
      'reader',
      'on',
      '>third-of-all',
      '~*',
      '&*',
      '+@read',
      '+@connection',
      '+info',
    );
  });
  afterAll(() => machines.close());

  const address = (user: string) => machines.redisUrl.replace('//', `//${user}`);

  /** A command as a process of its own, and all that it writes. */
  function launch(...args: string[]): { child: ChildProcess; written: () => string } {
    const program = join(packageRoot(), 'dist', 'cli.js');
    const child = spawn(process.execPath, [program, ...args, '--results', machines.results], { env: process.env });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { child, written: () => text };
  }

  async function end(child: ChildProcess): Promise<unknown> {
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    return code;
  }

  test.each([
    ['no password', '', /NOAUTH/],
    ['a wrong password', ':wrong-password@', /WRONGPASS/],
    ['a user without rights', 'reader:third-of-all@', /NOPERM/],
  ])('%s: 503, said once in the log and without the password, and SIGTERM ends the server', async (_, user, said) => {
    const { child, written } = launch('serve', '--port', '0', '--redis', address(user));
    await until(() => /listening on (\S+)/.test(written()));
    const [, place] = /listening on (\S+)/.exec(written())!;
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(short) };
    for (let tries = 0; tries < 3; tries++) expect((await fetch(`${place}/v1/jobs`, init)).status).toBe(503);
    await until(() => said.test(written()));
    expect(await end(child)).toBe(0);
    const complaints = written().match(/"err":"[^"]*"/g)!;
    expect(complaints).toEqual([...new Set(complaints)]);
    expect(written()).not.toMatch(/wrong-password|third-of-all/);
  });

  test('SIGTERM ends a worker that waits for a Redis that refuses', async () => {
    const { child, written } = launch('worker', '--redis', address(':wrong-password@'));
    await until(() => /WRONGPASS/.test(written()));
    expect(await end(child)).toBe(0);
    expect(written()).not.toContain('wrong-password');
  });

  test('a user with no dangerous rights is enough', async () => {
    const { child, written } = launch('worker', '--redis', address('careful:another-one@'));
    await machines.startServer({ redis: address('careful:another-one@') });
    expect(await machines.ended(await machines.submit(short))).toMatchObject({ state: 'done' });
    await until(async () => (await machines.get('/v1/bundles')).workers?.length === 1);
    expect(await end(child)).toBe(0);
    expect(written()).not.toMatch(/NOPERM/);
  });

  test('SIGTERM ends a worker whose Redis has gone away', async () => {
    const { child, written } = launch('worker', '--redis', address(':the-password@'));
    await until(() => /taking jobs/.test(written()));
    operator.disconnect();
    await machines.stopRedis(redis);
    await until(() => /ECONNREFUSED/.test(written()));
    expect(await end(child)).toBe(0);
  });
});
