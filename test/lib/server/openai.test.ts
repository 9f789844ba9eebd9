/** OpenAI's own client against the server. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import OpenAI from 'openai';

import { createServer, type Server } from '../../../lib/server';

const token = 'a token of the test';
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = createServer({ port: 0, token, logLevel: 'silent' });
  client = new OpenAI({ baseURL: `${await server.listen()}/v1`, apiKey: token, maxRetries: 0 });
});
afterAll(() => server.close());

test('lists the bundles as models', async () => {
  const names: string[] = [];
  for await (const { id } of client.models.list()) names.push(id);
  expect(names).toEqual(['embedded']);
  expect(await client.models.retrieve('embedded')).toMatchObject({ id: 'embedded', object: 'model' });
  await expect(client.models.retrieve('../embedded')).rejects.toMatchObject({ status: 404, code: 'UNKNOWN_BUNDLE' });
});

test('makes pictures', async () => {
  const { data, created } = await client.images.generate({
    model: 'dall-e-2',
    prompt: 'Sneaker',
    n: 2,
    size: 'auto',
    response_format: 'b64_json',
  });
  expect(created).toBeGreaterThan(1.7e9);
  expect(data).toHaveLength(2);
  for (const { b64_json } of data!) expect(Buffer.from(b64_json!, 'base64').subarray(1, 4).toString()).toBe('PNG');
});

test('a model that is null is the first one, as its interface says', async () => {
  const { data } = await client.images.generate({ model: null, prompt: 'Sneaker' });
  expect(data).toHaveLength(1);
});

test('its errors are errors of the client', async () => {
  await expect(client.images.generate({ prompt: 'A hat' })).rejects.toMatchObject({
    status: 400,
    type: 'invalid_request_error',
    message: expect.stringContaining('A hat'),
  });
  await expect(client.images.generate({ prompt: 'Coat', response_format: 'url' })).rejects.toMatchObject({
    status: 400,
  });
  const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: 'another', maxRetries: 0 });
  await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
});
