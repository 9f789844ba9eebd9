/** The commands that look into a model, with prompts: on a small random Stable Diffusion 3. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { promptsInTurn, readPrompts } from '../../../lib/cli/prompts';
import { encodePng } from '../../../lib/image/png';
import { Oracle, python } from '../../parity/oracle';
import { drawing } from '../../parity/families/family';

import { run } from './run';

const folder = mkdtempSync(join(tmpdir(), 'detail-guidance-prompts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'prompts.txt');
writeFileSync(file, 'a photo of a cat\r\n\n  two children fly a kite  \n');
const lines = ['a photo of a cat', 'two children fly a kite'];

test('a prompt on each line, after those of the command line', async () => {
  expect(await readPrompts({})).toBeUndefined();
  expect(await readPrompts({ prompt: ['a dog'] })).toEqual(['a dog']);
  expect(await readPrompts({ prompt: ['a dog'], prompts: file })).toEqual(['a dog', ...lines]);
  expect(promptsInTurn(lines)!(3, 2)).toEqual({ prompt: [lines[1], lines[0]] });
  expect(promptsInTurn(undefined)).toBeUndefined();
});

test('a file without prompts, or none at all, is refused', async () => {
  const empty = join(folder, 'empty.txt');
  writeFileSync(empty, '\n \n');
  await expect(readPrompts({ prompts: empty })).rejects.toMatchObject({ code: 'BAD_OPTION' });
  await expect(readPrompts({ prompts: join(folder, 'no.txt') })).rejects.toMatchObject({ code: 'BAD_OPTION' });
});

const suite = python.path ? describe : describe.skip;

suite('a bundle with text encoders', () => {
  let oracle: Oracle;
  const bundle = join(folder, 'sd3');
  beforeAll(async () => {
    oracle = new Oracle();
    await oracle.ask({ op: 'export', family: 'sd3', variant: 'no-t5', out: bundle });
  }, 120_000);
  afterAll(() => oracle?.close());

  const json = async (args: string[]) => {
    const { code, stdout, stderr } = await run([...args, '--device', 'cpu', '--json']);
    expect(`${code} ${code === 0 ? '' : stderr}`).toBe('0 ');
    return JSON.parse(stdout) as Record<string, never>;
  };

  test('analyze looks at each prompt', async () => {
    const out = join(folder, 'analysis');
    await json(['analyze', bundle, '--prompts', file, '--steps', '2', '--out', out]);
    const page = readFileSync(join(out, 'index.html'), 'utf8');
    for (const line of lines) expect(page).toContain(line);
  }, 120_000);

  test('without prompts it says what is missing', async () => {
    const { code, stderr } = await run(['analyze', bundle, '--device', 'cpu', '--out', join(folder, 'nothing')]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^BAD_OPTION: .*prompt/)]);
    expect(existsSync(join(folder, 'nothing'))).toBe(false);
  });

  test('dump records the run of a prompt', async () => {
    const out = join(folder, 'dump');
    await json(['dump', bundle, '--prompt', lines[0]!, '--steps', '2', '--out', out]);
    expect(existsSync(join(out, 'index.json'))).toBe(true);
  });

  test('intervene and evaluate make pictures of the prompts in turn', async () => {
    const small = ['--samples', '4', '--steps', '2', '--no-classifier'];
    const found = await json(
      ['intervene', bundle, '--prompt', lines[0]!, '--prompt', lines[1]!, '--layer', '1'].concat([
        ...['--channels', '7,19'],
        ...small,
      ]),
    );
    expect(found['samples']).toBe(4);
    const reference = mkdtempSync(join(folder, 'reference-'));
    for (let index = 0; index < 4; index++) {
      writeFileSync(
        join(reference, `${index}.png`),
        encodePng({ ...drawing(64, 64, 3), pixels: drawing(64, 64, 3).pixels.map((level) => level >> (index % 3)) }),
      );
    }
    const features = join(__dirname, '..', '..', '..', 'models', 'embedded', 'classifier-features.pt');
    const network = ['--features', features, '--features-size', '28,28', '--features-channels', '1'];
    const where = ['--reference', reference, '--out', join(folder, 'evaluation')];
    const result = await json(['evaluate', bundle, '--prompts', file, ...where, ...network, ...small, '--no-guidance']);
    expect(result['samples']).toBe(4);
  }, 120_000);
});
