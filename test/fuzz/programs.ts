/** TorchScript archives that are nearly right: their bytes, records, pickles and programs changed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { archive } from '../hostile/archive';
import { hostileCases } from '../hostile/cases';
import { readZip, writeZip, type ZipRecord } from '../hostile/zip';

import { mutateBytes } from './bytes';
import type { Random } from './random';

/** What a changed program may say: operators on the list and off it, and the language's own words. */
const words = [
  'torch',
  'ops',
  'prim',
  'aten',
  'x',
  'self',
  'weight',
  'CONSTANTS',
  'c0',
  'return',
  'if',
  'else',
  'for',
  'in',
  'while',
  'def',
  'class',
  'None',
  'True',
  'annotate',
  'uninitialized',
  'fork',
  'range',
  'print',
  'getattr',
  'List',
  'int',
  'Tensor',
  'Optional',
  'relu',
  'add',
  'mul',
  'div',
  'matmul',
  'reshape',
  'view',
  'expand',
  'index',
  'embedding',
  'conv2d',
  'layer_norm',
  'slice',
  'select',
  'cat',
  'stack',
  'zeros',
  'arange',
  'to',
  'size',
  'item',
  'softmax',
  'scaled_dot_product_attention',
  'max_pool2d',
  'upsample_nearest2d',
  'pad',
  'repeat_interleave',
  'gather',
  'scatter',
  'cumsum',
  'topk',
  'einsum',
  'linear',
  'norm',
  'fft_fft',
  'empty',
  'as_strided',
  'from_file',
  'save',
  'set_',
  '__setstate__',
  '_reshape_alias',
  'format',
  'NumToTensor',
  'RaiseException',
  'unfold',
  'pixel_shuffle',
  'split_with_sizes',
  'where',
  'masked_fill',
  'floordiv',
  'remainder',
  'index_put_',
  'copy_',
  'flip',
];
const numbers = [
  '0',
  '1',
  '-1',
  '2',
  '4',
  '1000000',
  '2147483648',
  '9223372036854775807',
  '-9223372036854775808',
  '0.5',
  '1e300',
  'inf',
];
const marks = ['(', ')', '[', ']', ',', '.', '=', ' + ', ' // ', ' % ', ' ** ', '\n    ', '\n', ':', '"', '-', '#'];

const real = readZip(readFileSync(join(process.env['FUZZ_ROOT']!, 'models', 'embedded', 'classifier.pt')));
let hostile: Buffer[] | null = null;

/** A changed archive. */
export function mutateArchive(random: Random, whole?: readonly ZipRecord[]): Buffer {
  const kind = random.below(10);
  if (kind === 0) {
    hostile ??= hostileCases()
      .map(({ bytes }) => bytes)
      .filter(({ length }) => length < 1 << 20);
    return mutateBytes(random, random.pick(hostile), 6);
  }
  // Programs that libtorch compiles, so that operators are given what they are not made for.
  if (kind > 5) return archive({ forward: forward(random) });
  const records = (
    whole ?? random.pick([real, readZip(archive()), readZip(archive({ forward: forward(random) }))])
  ).map((record) => ({ ...record }));
  if (kind === 1) return mutateBytes(random, writeZip(records), 6);
  random.times(3, () => mutateRecord(random, records));
  return writeZip(records);
}

/** Some lines that the compiler may take: calls of operators with tensors, numbers and lists in some order. */
function forward(random: Random): string {
  allowed ??= readAllowed();
  const lines = ['x0 = x'];
  for (let line = 1; line < 2 + random.below(5); line++) {
    const tensor = () => random.pick(['x', 'self.weight', ...Array.from({ length: line }, (_, i) => `x${i}`)]);
    const other = () =>
      random.pick([
        tensor(),
        tensor(),
        ...numbers,
        '[1, 2]',
        '[-1]',
        '[2, 2]',
        '[0]',
        `[${tensor()}]`,
        'None',
        'True',
        '6',
      ]);
    const given = [tensor(), ...Array.from({ length: random.below(4) }, other)];
    lines.push(`x${line} = torch.${random.pick(allowed)}(${given.join(', ')})`);
  }
  return `${lines.join('\n')}\nreturn x${lines.length - 1}`;
}

let allowed: string[] | null = null;

/** The names on the closed list. */
function readAllowed(): string[] {
  const text = readFileSync(join(process.env['FUZZ_ROOT']!, 'native', 'core', 'archive', 'operators.inc'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '' && !/^(#|constexpr|\))/.test(line))
    .flatMap((line) => (line.includes(': ') ? [line.slice(0, line.indexOf(': '))] : line.split(' ')))
    .filter((name) => !name.includes('::'));
}

function mutateRecord(random: Random, records: ZipRecord[]): void {
  if (records.length === 0) return;
  const wanted = random.pick(['.py', '.pkl', '']);
  const fitting = records.filter(({ name }) => name.endsWith(wanted));
  const record = random.pick(fitting.length > 0 ? fitting : records);
  switch (random.below(8)) {
    case 0:
      records.splice(records.indexOf(record), 1);
      break;
    case 1:
      records.push({ ...record, name: random.chance(0.5) ? record.name : `${record.name}x` });
      break;
    case 2:
      record.name = mutateBytes(random, Buffer.from(record.name), 2).toString('latin1');
      break;
    case 3:
      record.declared = random.pick([
        { size: random.below(2 ** 32) },
        { stored: random.below(2 ** 32) },
        { local: random.below(2 ** 32) },
        { flags: random.below(65536) },
        { method: random.below(20) },
      ]);
      break;
    default:
      record.data =
        record.name.endsWith('.py') && random.chance(0.8)
          ? Buffer.from(mutateText(random, record.data.toString('latin1')))
          : mutateBytes(random, record.data);
  }
}

/** A program with a few words, numbers or marks changed. */
function mutateText(random: Random, text: string): string {
  let changed = text;
  random.times(5, () => {
    const parts = changed.split(/(\w+|[^\w\s])/);
    const at = random.below(parts.length);
    const part = random.pick([random.pick(words), random.pick(numbers), random.pick(marks), '']);
    if (random.chance(0.6)) parts[at] = part;
    else if (random.chance(0.5)) parts.splice(at, 0, part.repeat(random.chance(0.1) ? 5000 : 1));
    else parts.splice(at, 0, ...parts.slice(at, at + random.below(30)));
    changed = parts.join('');
  });
  return changed;
}
