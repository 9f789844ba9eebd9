/** Adds up guidance terms: equal branches become one, with one weight in each step. */
import { DetailGuidanceError } from '../errors';
import type { Branch, GuidanceTerm } from '../guidance';
import type { NativeEdit } from '../native';
import type { PlanBranch } from './plan';

interface Row {
  branch: Branch;
  edits: number[];
  weights: number[];
}

export class Branches {
  private readonly rows = new Map<string, Row>();
  private readonly edits = new Map<string, { index: number; edit: NativeEdit }>();
  private readonly tensors = new Map<object, number>();
  private order: Map<string, number> | null = null;

  /** @param evaluations length of every list of weights */
  constructor(private readonly evaluations: number) {}

  /** Adds `weights` to those of a branch. */
  add(branch: Branch, weights: readonly number[]): void {
    const edits = branch.edits.map((edit) => this.editIndex(edit));
    const key = this.key(branch);
    const row = this.rows.get(key) ?? { branch, edits, weights: new Array<number>(this.evaluations).fill(0) };
    row.weights = row.weights.map((weight, index) => weight + weights[index]!);
    this.rows.set(key, row);
  }

  /** Adds w · (D_positive − D_negative). */
  addTerm({ positive, negative, weights }: GuidanceTerm): void {
    this.add(positive, weights);
    this.add(
      negative,
      weights.map((weight) => -weight),
    );
  }

  /**
   * The branches that some step evaluates, and the weights by step.
   *
   * @throws BAD_OPTION when the weights of a step do not add up to 1
   */
  finish(): { weights: number[][]; planned: Omit<PlanBranch, 'untouched'>[]; edits: NativeEdit[] } {
    const used = [...this.rows].filter(([, row]) => row.weights.some((weight) => Math.abs(weight) > 1e-12));
    this.order = new Map(used.map(([key], index) => [key, index]));
    const weights = Array.from({ length: this.evaluations }, (_, step) =>
      // Sums such as 1 + 0.3 − 1.3 leave a rounding error where they mean 0.
      used.map(([, row]) => (Math.abs(row.weights[step]!) > 1e-12 ? row.weights[step]! : 0)),
    );
    weights.forEach(checkSum);
    const kept = [...new Set(used.flatMap(([, row]) => row.edits))].sort((a, b) => a - b);
    const all = [...this.edits.values()];
    return {
      weights,
      planned: used.map(([, { branch, edits }]) => ({
        name: branch.name,
        conditioning: branch.conditioning,
        edits: edits.map((edit) => kept.indexOf(edit)),
      })),
      edits: kept.map((index) => all[index]!.edit),
    };
  }

  /** Index of a branch in `finish().planned`; null for one that no step evaluates. */
  indexOf(branch: Branch): number | null {
    return this.order?.get(this.key(branch)) ?? null;
  }

  private key({ conditioning, edits }: Branch): string {
    return `${conditioning} ${edits.map((edit) => this.editIndex(edit)).join(' ')}`;
  }

  private editIndex(edit: NativeEdit): number {
    const key = this.editKey(edit);
    const known = this.edits.get(key);
    if (known) return known.index;
    const index = this.edits.size;
    this.edits.set(key, { index, edit });
    return index;
  }

  /** Edits are equal when their fields are; a tensor is equal to itself alone. */
  private editKey({ source, sigma, ...rest }: NativeEdit): string {
    let tensor = -1;
    if (source) {
      tensor = this.tensors.get(source) ?? this.tensors.size;
      this.tensors.set(source, tensor);
    }
    // JSON has no Infinity, which is a sigma that means something.
    return JSON.stringify([String(sigma), tensor, Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))]);
  }
}

function checkSum(weights: readonly number[], step: number): void {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (Math.abs(sum - 1) <= 1e-9) return;
  throw new DetailGuidanceError(
    'BAD_OPTION',
    `The weights of the guidance add up to ${sum} in step ${step}; weights that add up to 1 in every step would be right.`,
    { found: sum, expected: 'weights that add up to 1 in every step' },
  );
}
