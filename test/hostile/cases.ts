/** Archives that mean harm or are damaged, and what each has to end in. Nothing of them touches `canary`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { archive, type Parts } from './archive';
import * as p from './pickle';
import { readZip, writeZip, type ZipRecord } from './zip';

export interface HostileCase {
  name: string;
  bytes: Buffer;
  /** What loading, or the call after it, has to end in. */
  ends: readonly string[];
}

const refused = ['OPERATOR_REFUSED'];
const unreadable = ['MODEL_UNREADABLE'];
const failed = ['MODEL_FAILED'];
const either = [...refused, ...unreadable];

const of = (name: string, ends: readonly string[], parts: Parts): HostileCase => ({
  name,
  ends,
  bytes: archive(parts),
});

/** Writes a file of the user, if it runs. */
const save = 'torch.save(x, "touched.pt")';

/** Expressions of x that no model needs. */
const expressions = [
  'torch.from_file("canary.txt", False, 4, dtype=0)',
  'torch.empty([4])',
  'torch.empty_like(x)',
  'torch.new_empty(x, [4])',
  'torch.empty_strided([4], [1])',
  'torch.as_strided(x, [4], [1], 0)',
  'torch._reshape_alias(x, [4], [1000000])',
  'torch.set_(x, x)',
  'torch.resize_(x, [1000000])',
  'torch.max_pool2d_with_indices_backward(x, x, [2, 2], [2, 2], [0, 0], [1, 1], False, x)',
  'torch.adaptive_max_pool2d_backward(x, x, x)',
  'torch._convert_indices_from_csr_to_coo(x, x)',
  'torch._convert_indices_from_coo_to_csr(x, 4)',
  'torch.segment_reduce(x, "sum", unsafe=True)',
  'torch._sparse_coo_tensor_unsafe(x, x, [4])',
  'torch.to_sparse(x)',
  'torch.native_group_norm(x, None, None, 1000, 1000, 1000, 1, 0.5)[0]',
  'torch.grid_sampler(x, x, 77, 0, False)',
  'torch.searchsorted(x, x)',
  'torch.embedding_bag(x, x, x)[0]',
  'torch.lstm_cell(x, [x, x], x, x)[0]',
  'torch.upsample_nearest2d(x, [4, 4], 1e-300, 1e-300)',
  'torch.rand_like(x)',
  'torch.bernoulli(x)',
  'torch.quantize_per_tensor(x, 0.5, 1, 13)',
  'torch.view(x, dtype=3)',
  'torch.unfold_backward(x, [4], 0, 1, 1)',
  'torch.col2im_backward(x, [1, 1], [1, 1], [0, 0], [1, 1])',
  'torch._cudnn_init_dropout_state(0.5, True, 1)',
  'ops.quantized.add(x, x, 0.5, 1)',
  'ops.mkldnn._linear_pointwise(x, x, None, "none", [], "")',
  'ops.prims.empty_strided([4], [1], dtype=6, device=torch.device("cpu"), requires_grad=False)',
  'ops.inductor._alloc_from_pool(x, 100000, 6, [4], [1])',
  'ops.detail_guidance.tap(x, 1000000)',
  'ops.profiler._record_function_enter("x")',
  'torch.tensor(ord("a"))',
  'torch.tensor(hash("a"))',
];

/** Statements that do something besides. */
const statements = [
  save,
  'torch . \\\n      save (x, "touched.pt")',
  'torch.manual_seed(1)',
  'torch.set_grad_enabled(True)',
  'torch.warn("x")',
  'print(x)',
  'ops.prim.Print(x)',
  'ops.aten.save(x, "touched.pt")',
];

function operators(): HostileCase[] {
  return [
    ...expressions.map((each) => of(`operator ${each.slice(0, 50)}`, either, { forward: `return ${each}` })),
    ...statements.map((each) => of(`statement ${each.slice(0, 30)}`, either, { forward: `${each}\nreturn x` })),
    of('in a method that nobody calls', refused, {
      members: `  def other(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    ${save}\n    return x\n`,
    }),
    of('in a function', refused, {
      before: `def f(x: Tensor) -> Tensor:\n  ${save}\n  return x\n`,
      forward: 'return __torch__.f(x)',
    }),
    of('in a fork', refused, {
      before: `def f(x: Tensor) -> Tensor:\n  ${save}\n  return x\n`,
      forward: 'y = fork(__torch__.f, x)\nreturn torch.wait(y)',
    }),
    of('in a branch', refused, { forward: `if torch.gt(torch.size(x, 0), 99):\n  ${save}\nelse:\n  pass\nreturn x` }),
    of('in a loop', refused, { forward: `for i in range(torch.size(x, 0)):\n  ${save}\nreturn x` }),
    of('given another name', either, { forward: 'f = torch.from_file\nreturn f("canary.txt", False, 4)' }),
    of('a namespace given another name', either, {
      forward: 'f = ops.aten\nreturn f.from_file("canary.txt", False, 4)',
    }),
    of('in a default', refused, {
      before: 'def f(x: Tensor, y: Tensor=torch.from_file("canary.txt", False, 1)) -> Tensor:\n  return x\n',
      forward: 'return __torch__.f(x)',
    }),
    of('in the default of a named tuple', refused, {
      before: 'class N(NamedTuple):\n  y : Tensor = torch.from_file("canary.txt", False, 1)\n',
      forward: 'return __torch__.N().y',
    }),
    of('in a property', either, {
      members: `  def __getattr__(self: __torch__.M,\n    x: str) -> Tensor:\n    y = torch.zeros([1])\n    torch.save(y, "touched.pt")\n    return y\n`,
    }),
    of('__setstate__', refused, {
      members: `  def __setstate__(self: __torch__.M,\n    state: Dict[str, Tensor]) -> NoneType:\n    return None\n`,
    }),
    of('__setstate__ on another line', refused, {
      members: `  def \\\n__setstate__(self: __torch__.M,\n    state: Dict[str, Tensor]) -> NoneType:\n    return None\n`,
    }),
    of('__getstate__', refused, {
      members: `  def __getstate__(self: __torch__.M) -> int:\n    return 1\n`,
    }),
    of('an object made while it runs', either, {
      before: 'class N:\n  def __init__(self: __torch__.N) -> NoneType:\n    self.y = 1\n    return None\n',
      forward: 'n = __torch__.N.__new__(__torch__.N)\n_0 = (n).__init__()\nreturn x',
    }),
    of('an enumeration', refused, { before: 'class E(Enum):\n  a = "x"\n' }),
    of('a custom class in a type', refused, { members: '  h : __torch__.torch.classes.quantized.Conv2d\n' }),
    of('a custom class in the pickle', refused, {
      attributes: { h: p.object('LinearPackedParamsBase', {}, '__torch__.torch.classes.quantized') },
    }),
    of('a method of text, computed while it is read', refused, { forward: 'y = "x".center(2000000000)\nreturn x' }),
    // Not computed while it is read once it is long, nor later, since nothing needs it.
    of('text that doubles', ['ok', ...failed], {
      forward: `a0 = "xxxxxxxx"
${Array.from({ length: 40 }, (_, i) => `a${i + 1} = torch.add(a${i}, a${i})`).join('\n')}
if torch.eq(a40, "y"):
  pass
else:
  pass
return x`,
    }),
    ...Object.entries({ doubles: 'torch.add(a, a)', 'is repeated': 'torch.mul(a, 1000)' }).map(([name, longer]) =>
      of(`a list that ${name}`, failed, {
        forward: `a = [torch.size(x, 0)]\n${`a = ${longer}\n`.repeat(45)}return torch.mul(x, torch.len(a))`,
      }),
    ),
    of('a dtype that is computed', refused, { forward: 'return torch.to(x, torch.size(x, 0))' }),
    of('a dtype that is none', refused, { forward: 'return torch.to(x, 113)' }),
    of('a layout', refused, { forward: 'return torch.zeros([4], layout=1)' }),
    of('division of whole numbers by cutting', failed, {
      forward: 'return torch.div(torch.to(x, 4), -1, rounding_mode="trunc")',
    }),
    of('the same by a number that is computed, of the smallest number', failed, {
      forward:
        'y = torch.sub(torch.zeros_like(torch.to(x, 4)), 9223372036854775807)\ny = torch.sub(y, 1)\nreturn torch.div(y, torch.sub(torch.dim(x), 2), rounding_mode="trunc")',
    }),
    of('the same by a tensor that is changed in place', failed, {
      forward:
        'y = torch.sub(torch.zeros_like(torch.to(x, 4)), 9223372036854775807)\ny = torch.sub(y, 1)\nz = torch.add(torch.zeros_like(y), 1)\nz = torch.mul_(z, -1)\nreturn torch.div(y, z, rounding_mode="trunc")',
    }),
    of('the same by another name', failed, {
      forward:
        'y = torch.sub(torch.zeros_like(torch.to(x, 4)), 9223372036854775807)\ny = torch.sub(y, 1)\nreturn torch.divide(y, torch.sub(torch.dim(x), 2), rounding_mode="trunc")',
    }),
    of('a rounding that is none', refused, {
      forward: 'return torch.div(x, 2, rounding_mode="up")',
    }),
  ];
}

function arithmetic(): HostileCase[] {
  return [
    // Computed while it is read: what fails there is computed again when it runs.
    of('5 % 0', [...failed, 'ok'], { forward: 'y = 5 % 0\nreturn torch.add(x, y)' }),
    of('5 % a size - 4', failed, { forward: 'y = 5 % (torch.size(x, 0) - 4)\nreturn torch.add(x, y)' }),
    of('the smallest number // -1', failed, {
      forward: 'y = (-4611686018427387904 * 2) // (3 - torch.size(x, 0))\nreturn torch.add(x, y)',
    }),
    of('the smallest number % -1', failed, {
      forward: 'y = (-4611686018427387904 * 2) % (3 - torch.size(x, 0))\nreturn torch.add(x, y)',
    }),
    of('divmod by 0', failed, { forward: 'y, z, = divmod(5, torch.size(x, 0) - 4)\nreturn torch.add(x, y)' }),
    of('more memory than there is', ['OUT_OF_MEMORY', ...failed], {
      forward: 'return torch.zeros([1000000, 1000000, 1000])',
    }),
    of('sizes that overflow', [...failed, 'OUT_OF_MEMORY'], {
      forward: 'return torch.zeros([9223372036854775807, 9223372036854775807])',
    }),
    of('a view of more than there is', [...failed, 'OUT_OF_MEMORY'], {
      forward: 'return torch.expand(x, [1000000, 1000000, 4])',
    }),
    of('an index beyond', failed, {
      forward: 'return torch.embedding(self.weight.unsqueeze(1), torch.to(x, 4) + 100)',
    }),
    of('shapes that do not fit', failed, { forward: 'return torch.matmul(x, torch.zeros([5, 5]))' }),
    of('a result that is no tensor', [...failed, 'ok'], {
      forward: 'return x',
      source: `class M(Module):
  weight : Tensor
  training : bool
  def forward(self: __torch__.M,
    x: Tensor) -> str:
    return "text"
`,
    }),
    of('a complex result', [...failed, 'ok'], { forward: 'return torch.complex(x, x)' }),
    of('an error of its own', failed, { forward: 'ops.prim.RaiseException("no")\nreturn x' }),
  ];
}

/** What would make a call depend on those before it, or on chance. */
function states(): HostileCase[] {
  const numbers = (...values: number[]) => p.call('torch.jit._pickle', 'build_intlist', p.list(...values.map(p.int)));
  const norm = (name: string, weight: string) =>
    `y = torch.reshape(x, [1, 4, 1])\ny = torch.${name}(torch.cat([y, y], 2), None, None, ${weight}, ${weight}, True, 0.5, 0.1, False)\nreturn torch.flatten(y)`;
  return [
    of('a weight that is added to', ['ok', ...unreadable], {
      forward: '_0 = torch.add_(self.weight, x)\nreturn self.weight',
    }),
    of('a weight that is written through a view', unreadable, {
      forward: 'v = torch.select(self.weight, 0, 0)\n_0 = torch.mul_(v, 2.)\nreturn torch.add(x, self.weight)',
    }),
    of('a weight that is written after it was used', ['ok', ...unreadable], {
      forward: 'y = torch.add(x, self.weight)\n_0 = torch.zero_(self.weight)\nreturn y',
    }),
    of('a weight that is written in a branch', unreadable, {
      forward:
        'if torch.gt(torch.size(x, 0), 2):\n  _0 = torch.copy_(self.weight, x)\nelse:\n  pass\nreturn torch.add(x, self.weight)',
    }),
    of('a weight that is written through a list', unreadable, {
      forward: '_0 = torch.add_([self.weight, x][0], 1)\nreturn torch.add(x, self.weight)',
    }),
    of('a list that grows', unreadable, {
      members: '  n : List[int]\n',
      attributes: { n: numbers(1) },
      forward: 'n = self.n\n_0 = torch.append(n, 1)\nreturn torch.mul(x, torch.len(n))',
    }),
    of('a list whose tensors change', unreadable, {
      members: '  n : List[Tensor]\n',
      attributes: {
        n: p.call('torch.jit._pickle', 'restore_type_tag', p.list(p.tensor()), p.text('List[Tensor]')),
      },
      forward: 'n = self.n\n_0 = torch.add_(n[0], 1)\nreturn torch.add(x, n[0])',
    }),
    of('a list whose numbers change', unreadable, {
      members: '  n : List[int]\n',
      attributes: { n: numbers(1) },
      forward: 'n = self.n\n_0 = torch._set_item(n, 0, torch.add(n[0], 1))\nreturn torch.mul(x, n[0])',
    }),
    of('a dictionary that changes', unreadable, {
      members: '  n : Dict[str, int]\n',
      attributes: {
        n: p.call('torch.jit._pickle', 'restore_type_tag', p.dict(p.text('a'), p.int(1)), p.text('Dict[str, int]')),
      },
      forward: 'n = self.n\n_0 = torch._set_item(n, "a", torch.add(n["a"], 1))\nreturn torch.mul(x, n["a"])',
    }),
    of('statistics of a batch norm', refused, { forward: norm('batch_norm', 'self.weight') }),
    of('statistics of an instance norm', refused, { forward: norm('instance_norm', 'self.weight') }),
    ...['dropout', 'dropout_', 'alpha_dropout', 'feature_dropout'].map((name) =>
      of(`${name} in training`, refused, { forward: `return torch.${name}(torch.add(x, 0), 0.5, True)` }),
    ),
    of('dropout by a computed switch', refused, {
      forward: 'return torch.dropout(x, 0.5, torch.gt(torch.size(x, 0), 2))',
    }),
    of('dropout in an attention', refused, {
      forward:
        'y = torch.reshape(x, [1, 1, 2, 2])\nreturn torch.flatten(torch.scaled_dot_product_attention(y, y, y, None, 0.5))',
    }),
  ];
}

const renamed = (from: string, to: string) => (records: ZipRecord[]) =>
  records.map((record) => (record.name === from ? { ...record, name: to } : record));
const added = (...more: ZipRecord[]) => ({ records: (records: ZipRecord[]) => [...records, ...more] });
const declared = (name: string, changes: ZipRecord['declared'] | { deflate: true }) => (records: ZipRecord[]) =>
  records.map((record) =>
    record.name === name
      ? 'deflate' in changes!
        ? { ...record, deflate: true }
        : { ...record, declared: changes as ZipRecord['declared'] }
      : record,
  );

function records(): HostileCase[] {
  const evil = Buffer.from(
    `class M(Module):\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    ${save}\n    return x\n`,
  );
  const whole = archive();
  return [
    of('CODE/…', unreadable, { records: renamed('code/__torch__.py', 'CODE/__torch__.py') }),
    of('….PY', unreadable, { records: renamed('code/__torch__.py', 'code/__torch__.PY') }),
    of('two of a name', unreadable, added({ name: 'code/__torch__.py', data: evil })),
    of('two but for their case', unreadable, added({ name: 'code/__TORCH__.py', data: evil })),
    of('a name upwards', unreadable, added({ name: '../x.py', data: evil })),
    of('code upwards', unreadable, added({ name: 'code/../x.py', data: evil })),
    of('a backslash', unreadable, added({ name: 'code\\__torch__\\x.py', data: evil })),
    of('a program of the first version', unreadable, added({ name: 'model.json', data: Buffer.from('{}') })),
    of('a record of another kind', unreadable, added({ name: 'run.sh', data: evil })),
    of('another folder', unreadable, { bytes: () => writeZip([...readZip(whole), { name: 'n/data/1', data: evil }]) }),
    of('no folder', unreadable, {
      bytes: () => writeZip(readZip(whole).map((r) => ({ ...r, name: r.name.slice(2) }))),
    }),
    of('without data.pkl', unreadable, { records: (all) => all.filter(({ name }) => name !== 'data.pkl') }),
    of('without constants.pkl', unreadable, { records: (all) => all.filter(({ name }) => name !== 'constants.pkl') }),
    of('without code', unreadable, { records: (all) => all.filter(({ name }) => !name.startsWith('code')) }),
    of('without a version', unreadable, { records: (all) => all.filter(({ name }) => name !== 'version') }),
    of('a version that is none', unreadable, {
      records: (all) => all.map((r) => (r.name === 'version' ? { ...r, data: Buffer.from('x'.repeat(100)) } : r)),
    }),
    of('a version of the future', unreadable, {
      records: (all) => all.map((r) => (r.name === 'version' ? { ...r, data: Buffer.from('999\n') } : r)),
    }),
    of('a tensor that inflates', unreadable, { records: declared('data/0', { deflate: true }) }),
    of(
      'code that inflates to 65 MB',
      unreadable,
      added({ name: 'code/__torch__/x.py', data: Buffer.alloc(65 << 20, '#'), deflate: true }),
    ),
    of('code that says it is larger', unreadable, { records: declared('code/__torch__.py', { size: 1000 }) }),
    of('code that says it has 2 GB', unreadable, {
      records: declared('code/__torch__.py', { size: 2 ** 31, stored: 2 ** 31 }),
    }),
    of('a tensor that says it has 2 GB', unreadable, {
      records: declared('data/0', { size: 2 ** 31, stored: 2 ** 31 }),
    }),
    of('a record behind the end', unreadable, { records: declared('data/0', { local: 2 ** 31 }) }),
    of('two records in one place', unreadable, { records: declared('data.pkl', { local: 0 }) }),
    of('another name at the record', unreadable, { records: declared('data.pkl', { localName: 'm/data.xyz' }) }),
    of('encrypted', unreadable, { records: declared('data.pkl', { flags: 0x809 }) }),
    of('another compression', unreadable, { records: declared('data.pkl', { method: 12 }) }),
    of('a comment behind it', unreadable, { bytes: () => writeZip(readZip(whole), { comment: Buffer.from('hello') }) }),
    of('a record too many', unreadable, { bytes: () => writeZip(readZip(whole), { entries: 60000 }) }),
    of('a record too few', unreadable, { bytes: () => writeZip(readZip(whole), { entries: 1 }) }),
    of('empty', unreadable, { bytes: () => Buffer.alloc(0) }),
    of('zeros', unreadable, { bytes: () => Buffer.alloc(10_000) }),
    of('text', unreadable, { bytes: () => Buffer.from('not an archive\n'.repeat(100)) }),
    of('a pickle of its own', unreadable, {
      bytes: () => p.pickle(p.call('os', 'system', p.text('touch touched.pt'))),
    }),
    ...[0.1, 0.5, 0.9, 0.99].map((part) =>
      of(`cut after ${part * 100} %`, unreadable, { bytes: (all) => all.subarray(0, Math.floor(all.length * part)) }),
    ),
  ];
}

function pickles(): HostileCase[] {
  const weight = (parts: p.TensorParts) => ({ attributes: { weight: p.tensor(parts) } });
  const extra = (type: string, value: Buffer): Parts => ({
    members: `  extra : ${type}\n`,
    attributes: { extra: value },
  });
  const nested = (depth: number) => {
    let value = p.emptyList;
    for (let i = 0; i < depth; i++) value = p.list(value);
    return value;
  };
  return [
    of('a tensor longer than its record', unreadable, weight({ elements: 1000, sizes: [1000] })),
    of('a tensor longer than its storage', unreadable, weight({ sizes: [1000] })),
    of('strides beyond', unreadable, weight({ strides: [1000] })),
    of('an offset beyond', unreadable, weight({ offset: 4 })),
    of('an offset before', unreadable, weight({ offset: -4 })),
    of('a negative size', unreadable, weight({ sizes: [-4] })),
    of('a negative stride', unreadable, weight({ strides: [-1] })),
    of('a negative number of elements', unreadable, weight({ elements: -4 })),
    of('sizes whose product overflows', unreadable, weight({ sizes: [2 ** 40, 2 ** 40], strides: [0, 0] })),
    of('a reach that overflows', unreadable, weight({ sizes: [2, 2], strides: [2n ** 62n, 2n ** 62n] })),
    of('elements whose bytes overflow', unreadable, weight({ elements: 2n ** 62n, sizes: [2n ** 62n] })),
    of('another dtype', unreadable, weight({ storage: 'DoubleStorage' })),
    of('a quantised tensor', unreadable, weight({ storage: 'QInt8Storage', elements: 16 })),
    of('a storage that is none', unreadable, weight({ storage: 'Elsewhere' })),
    of('on no device', unreadable, weight({ device: 'meta' })),
    of('a record that is missing', unreadable, weight({ key: '7' })),
    of('a record elsewhere', unreadable, weight({ key: '../code/__torch__.py' })),
    of('a hundred axes', unreadable, weight({ sizes: Array(100).fill(1), strides: Array(100).fill(1) })),
    of('lists in lists', unreadable, extra('List[int]', nested(100_000))),
    of('lists shared by lists', unreadable, {
      ...extra(
        'List[int]',
        Buffer.concat([
          p.emptyList,
          p.put(0),
          ...Array.from({ length: 60 }, (_, i) => Buffer.concat([p.list(p.get(i), p.get(i)), p.put(i + 1)])),
        ]),
      ),
    }),
    of(
      'a list in itself',
      unreadable,
      extra('List[int]', Buffer.concat([p.emptyList, p.put(0), p.mark, p.get(0), p.appends])),
    ),
    of('a place far away', unreadable, extra('int', Buffer.concat([p.int(1), p.put(4_000_000_000)]))),
    of('a place that is empty', unreadable, extra('int', p.get(9))),
    of('a number for text', unreadable, extra('str', p.int(1))),
    of('text for a tensor', unreadable, extra('Tensor', p.text('x'))),
    of(
      'text in a list of numbers',
      unreadable,
      extra('List[int]', p.call('torch.jit._pickle', 'build_intlist', p.list(p.text('x')))),
    ),
    of('a number for a module', unreadable, { attributes: { weight: p.int(5) } }),
    of('an attribute that is missing', unreadable, { members: '  extra : int\n' }),
    of(
      'a list that is called a list of tensors',
      unreadable,
      extra('List[Tensor]', p.call('torch.jit._pickle', 'restore_type_tag', p.list(p.int(1)), p.text('List[Tensor]'))),
    ),
    of(
      'a type in types',
      unreadable,
      extra(
        'List[int]',
        p.call(
          'torch.jit._pickle',
          'restore_type_tag',
          p.emptyList,
          p.text(`${'List['.repeat(10_000)}int${']'.repeat(10_000)}`),
        ),
      ),
    ),
    of('os.system', unreadable, extra('int', p.call('os', 'system', p.text('touch touched.pt')))),
    of('builtins.eval', unreadable, extra('int', p.call('builtins', 'eval', p.text('1')))),
    of('an instruction of another protocol', unreadable, extra('int', Buffer.from([0x95, 0, 0, 0, 0, 0, 0, 0, 0]))),
    of('marks without an end', unreadable, extra('int', Buffer.alloc(1_000_000, '('))),
    of('two million values', unreadable, extra('int', Buffer.alloc(2_100_000, 'N'))),
    of('an object among the constants', unreadable, { constants: p.tuple(p.object('M', {})) }),
    of('an object of a class that is none', either, { data: p.object('Other', {}) }),
    of('no module', unreadable, { data: p.int(1) }),
    of('constants that are no tuple', unreadable, { constants: p.int(1) }),
    of('a constant that is missing', either, { forward: 'return torch.add(x, CONSTANTS.c7)' }),
    of('a constant with a number that is none', either, {
      forward: 'return torch.add(x, CONSTANTS.c99999999999999999999)',
    }),
  ];
}

function sources(): HostileCase[] {
  const functions = (count: number, body: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => `def f${i}(x: Tensor) -> Tensor:\n  ${body(i)}\n`).join('');
  return [
    of('brackets in brackets', unreadable, { forward: `return ${'('.repeat(100_000)}x${')'.repeat(100_000)}` }),
    of('additions in a row', unreadable, { forward: `return x${' + x'.repeat(100_000)}` }),
    of('signs in a row', unreadable, { forward: `return ${'-'.repeat(100_000)}x` }),
    of('attributes in a row', unreadable, { forward: `return x${'.a'.repeat(100_000)}` }),
    of('calls in a row', unreadable, { forward: `return x${'()'.repeat(100_000)}` }),
    of('conditions in a row', unreadable, { forward: `return ${'x if True else '.repeat(50_000)}x` }),
    of('comparisons in a row', unreadable, { forward: `return ${'not '.repeat(50_000)}x` }),
    of('a type in types, declared', unreadable, {
      members: `  a : ${'List['.repeat(100_000)}int${']'.repeat(100_000)}\n`,
    }),
    of('blocks in blocks', unreadable, {
      forward: `${Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}if True:`).join('\n    ')}\n${' '.repeat(500)}pass\nreturn x`,
    }),
    of('branches in a row', unreadable, {
      forward: `if True:\n  pass\n${'elif True:\n  pass\n'.repeat(5000)}return x`,
    }),
    of('empty lines', unreadable, { before: '\n'.repeat(1_000_000) }),
    of('comments', unreadable, { before: '#\n'.repeat(1_000_000) }),
    of('lines that go on', unreadable, { forward: `return x ${'\\\n'.repeat(100_000)}` }),
    of('functions that call each other in a row', unreadable, {
      before: functions(20_000, (i) => `return __torch__.f${i + 1}(x)`),
      forward: 'return __torch__.f0(x)',
    }),
    of('functions that call each other twice', unreadable, {
      before: functions(40, (i) =>
        i === 0 ? 'return torch.relu(x)' : `return __torch__.f${i - 1}(__torch__.f${i - 1}(x))`,
      ),
      forward: 'return __torch__.f39(x)',
    }),
    of('a function that calls itself', unreadable, {
      before: functions(1, () => 'return __torch__.f0(x)'),
      forward: 'return __torch__.f0(x)',
    }),
    of('two functions that call each other', unreadable, {
      before: functions(2, (i) => `return __torch__.f${1 - i}(x)`),
      forward: 'return __torch__.f0(x)',
    }),
    of('classes in classes', unreadable, {
      before: Array.from({ length: 20_000 }, (_, i) => `class C${i}(Module):\n  a : __torch__.C${i + 1}\n`).join(''),
      members: '  a : __torch__.C0\n',
    }),
    of('a class that has itself', either, { members: '  a : __torch__.M\n' }),
    of('a name that is not ASCII', unreadable, { members: '  Δ : int\n' }),
    of('a zero byte', unreadable, { forward: 'return x\0' }),
    of('text without an end', unreadable, { forward: 'return "x' }),
    of('other code', unreadable, { source: 'int main() { return 0; }\n' }),
    of('an import, which nobody follows', ['ok'], { before: 'import os\n' }),
    of('no class', either, { source: 'def f(x: Tensor) -> Tensor:\n  return x\n' }),
    of('no forward', ['NOT_A_TRANSFORMER', ...unreadable], {
      source: 'class M(Module):\n  weight : Tensor\n  training : bool\n',
    }),
    of('a forward without an end', unreadable, {
      source: 'class M(Module):\n  weight : Tensor\n  training : bool\n  def forward(self: __torch__.M',
    }),
    of('a name that is not there', unreadable, { forward: 'return y' }),
    of('a variable without a value', [...unreadable, ...failed], {
      forward: 'y = uninitialized(Tensor)\nreturn torch.relu(y)',
    }),
    of('a changed attribute', unreadable, { forward: 'self.weight = x\nreturn x' }),
  ];
}

/** The archives of every kind; more than a hundred. */
export function hostileCases(): HostileCase[] {
  return [...operators(), ...arithmetic(), ...states(), ...records(), ...pickles(), ...sources()];
}

/** Archives like those that are harmless: a test that refuses everything would pass too. */
export function harmlessCases(): HostileCase[] {
  const real = readFileSync(join(__dirname, '..', '..', 'models', 'embedded', 'classifier.pt'));
  return [
    of('a plain module', ['ok'], {}),
    of('numbers, lists and text', ['ok'], {
      members: '  a : List[int]\n  b : Dict[str, float]\n  c : Tuple[int, str]\n',
      attributes: {
        a: p.call('torch.jit._pickle', 'build_intlist', p.list(p.int(1), p.int(2))),
        b: p.call('torch.jit._pickle', 'restore_type_tag', p.emptyDict, p.text('Dict[str, float]')),
        c: p.tuple(p.int(1), p.text('x')),
      },
      forward: 'a = self.a\nreturn torch.mul(x, a[1])',
    }),
    of('a function in a fork', ['ok'], {
      before: 'def f(x: Tensor) -> Tensor:\n  return torch.relu(x)\n',
      forward: 'y = fork(__torch__.f, x)\nreturn torch.wait(y)',
    }),
    of('a default that is a number', ['ok'], {
      before: 'def f(x: Tensor, y: int=-2, z: Optional[float]=None) -> Tensor:\n  return torch.mul(x, y)\n',
      forward: 'return __torch__.f(x)',
    }),
    of('division by -1, cut, of what is no whole number', ['ok'], {
      forward: 'return torch.div(x, -1, rounding_mode="trunc")',
    }),
    of('division of whole numbers by a positive one, cut', ['ok'], {
      forward: 'return torch.div(torch.to(x, 4), 2, rounding_mode="trunc")',
    }),
    of('a sum in place, of its own', ['ok'], {
      forward: 'y = torch.mul(x, 2)\n_0 = torch.add_(torch.select(y, 0, 0), 1)\nreturn torch.add(y, self.weight)',
    }),
    of('its input, written in place', ['ok'], {
      forward: '_0 = torch.mul_(torch.select(x, 0, 0), 2)\n_1 = torch.add_(x, 1)\nreturn torch.add(x, self.weight)',
    }),
    of('dropout that is off, by its training mode and by a branch', ['ok'], {
      forward:
        'p = 0.5\nif self.training:\n  q = p\nelse:\n  q = 0.\ny = torch.reshape(torch.dropout(x, p, self.training), [1, 1, 2, 2])\nreturn torch.flatten(torch.scaled_dot_product_attention(y, y, y, None, q))',
    }),
    of('norms without statistics', ['ok'], {
      forward:
        'y = torch.reshape(x, [1, 2, 2])\ny = torch.batch_norm(y, None, None, None, None, True, 0.5, 0.1, False)\nreturn torch.flatten(torch.instance_norm(y, None, None, None, None, True, 0.5, 0.1, False))',
    }),
    of('an assertion', ['ok'], {
      forward:
        'if torch.eq(torch.dim(x), 1):\n  pass\nelse:\n  ops.prim.RaiseException(torch.add("AssertionError: ", str(torch.dim(x))))\nreturn x',
    }),
    of('a stored archive', ['ok'], { bytes: () => writeZip(readZip(archive())) }),
    { name: "the embedded model's classifier", ends: ['ok', 'MODEL_FAILED'], bytes: writeZip(readZip(real)) },
  ];
}
