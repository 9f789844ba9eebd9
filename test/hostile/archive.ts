/** A small TorchScript archive, whose parts a case can change. */
import { writeZip, type ZipRecord } from './zip';
import { bool, emptyTuple, object, pickle, tensor } from './pickle';

export interface Parts {
  /** Lines of `forward`, which gives what the last of them returns. */
  forward?: string;
  /** Of the class: further attributes and methods, with their two spaces. */
  members?: string;
  /** Before and behind the class. */
  before?: string;
  after?: string;
  /** All of `code/__torch__.py` instead. */
  source?: string;
  /** Of the module's object. */
  attributes?: Record<string, Buffer>;
  /** data.pkl and constants.pkl instead. */
  data?: Buffer;
  constants?: Buffer;
  /** Changes the records in their order, without the folder's name. */
  records?: (records: ZipRecord[]) => ZipRecord[];
  /** Changes the finished file. */
  bytes?: (archive: Buffer) => Buffer;
}

const indent = (lines: string) => lines.trim().replaceAll('\n', '\n    ');

/** `class M` with one weight of four numbers; `forward` takes a tensor and returns one. */
export function archive(parts: Parts = {}): Buffer {
  const { forward = 'return torch.add(x, self.weight)', members = '', before = '', after = '' } = parts;
  const source =
    parts.source ??
    `${before}class M(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
${members}  def forward(self: __torch__.M,
    x: Tensor) -> Tensor:
    ${indent(forward)}
${after}`;
  const data = parts.data ?? object('M', { weight: tensor(), training: bool(false), ...parts.attributes });
  const records: ZipRecord[] = [
    { name: 'data/0', data: Buffer.from(new Float32Array([1, 2, 3, 4]).buffer) },
    { name: 'data.pkl', data: pickle(data) },
    { name: 'code/__torch__.py', data: Buffer.from(source) },
    { name: 'constants.pkl', data: pickle(parts.constants ?? emptyTuple) },
    { name: 'version', data: Buffer.from('3\n') },
    { name: 'byteorder', data: Buffer.from('little') },
  ];
  const changed = parts.records?.(records) ?? records;
  const whole = writeZip(changed.map((record) => ({ ...record, name: `m/${record.name}` })));
  return parts.bytes?.(whole) ?? whole;
}
