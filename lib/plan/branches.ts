/** Adds up guidance terms: equal branches become one, with one weight in each step. */
import { invalid } from '../validation/invalid';
import type { AdaptiveReuse, Branch, GuidanceTerm } from '../guidance';
import type { PlanEdit } from '../native';
import type { PlanBranch } from './types';

interface Row {
  branch: Branch;
  edits: number[];
  weights: number[];
  /** Evaluations in which every term with this branch lets an earlier difference stand in. */
  reuse: boolean[];
  adaptiveReuse: AdaptiveReuse | null;
  /** Key of the branch that the difference is to. */
  reference: string | null;
}

type Reuse = Pick<Row, 'reuse' | 'adaptiveReuse' | 'reference'>;

export class Branches {
  private readonly rows = new Map<string, Row>();
  private readonly edits = new Map<string, { index: number; edit: PlanEdit }>();
  private readonly tensors = new Map<object, number>();
  private order: Map<string, number> | null = null;

  /** @param evaluations length of every list of weights */
  constructor(private readonly evaluations: number) {}

  /** Adds `weights` to those of a branch. */
  add(branch: Branch, weights: readonly number[]): void {
    this.merge(branch, weights, { reuse: weights.map(() => false), adaptiveReuse: null, reference: null });
  }

  /** Adds w · (D_positive − D_negative). */
  addTerm({ positive, negative, weights, reuse, adaptiveReuse }: GuidanceTerm): void {
    this.add(positive, weights);
    const negated = weights.map((weight) => -weight);
    this.merge(negative, negated, {
      reuse: reuse ?? weights.map(() => false),
      adaptiveReuse: adaptiveReuse ?? null,
      reference: adaptiveReuse || reuse?.includes(true) ? this.key(positive) : null,
    });
  }

  /**
   * The branches that some step evaluates, and the weights by step.
   *
   * @throws BAD_OPTION when the weights of a step do not add up to 1
   */
  finish(): {
    weights: number[][];
    reuse: boolean[][];
    planned: Omit<PlanBranch, 'untouched'>[];
    edits: PlanEdit[];
  } {
    const weighted = [...this.rows].filter(([, row]) => row.weights.some(isWeight));
    const references = new Set(weighted.map(([, row]) => referenceOf(row)));
    const used = [...this.rows].filter(([key, row]) => row.weights.some(isWeight) || references.has(key));
    const order = new Map(used.map(([key], index) => [key, index]));
    this.order = order;
    const evaluations = Array.from({ length: this.evaluations }, (_, index) => index);
    // Sums such as 1 + 0.3 − 1.3 leave a rounding error where they mean 0.
    const weights = evaluations.map((at) => used.map(([, row]) => (isWeight(row.weights[at]!) ? row.weights[at]! : 0)));
    weights.forEach(checkSum);
    const editIndices = [...new Set(used.flatMap(([, row]) => row.edits))].sort((a, b) => a - b);
    const all = [...this.edits.values()];
    const names = distinctNames(used.map(([, row]) => row.branch.name));
    return {
      weights,
      reuse: evaluations.map((at) => used.map(([, row]) => row.reference !== null && row.reuse[at]!)),
      planned: used.map(([, row], index) => ({
        name: names[index]!,
        conditioning: row.branch.conditioning,
        edits: row.edits.map((edit) => editIndices.indexOf(edit)),
        reference: order.get(referenceOf(row) ?? '') ?? null,
        adaptiveReuse: row.adaptiveReuse,
      })),
      edits: editIndices.map((index) => all[index]!.edit),
    };
  }

  /** Index of a branch in `finish().planned`; null for one that no step evaluates. */
  indexOf(branch: Branch): number | null {
    return this.order?.get(this.key(branch)) ?? null;
  }

  private merge(branch: Branch, weights: readonly number[], reuse: Reuse): void {
    const key = this.key(branch);
    const row = this.rows.get(key);
    if (!row?.weights.some(isWeight)) {
      const edits = branch.edits.map((edit) => this.editIndex(edit));
      this.rows.set(key, { branch, edits, weights: [...weights], ...reuse });
      return;
    }
    // A term that is off in an evaluation has no say there; terms that are on have to agree.
    if (weights.some(isWeight)) {
      const { reference } = reuse;
      row.reuse = row.reuse.map((both, at) => {
        if (!isWeight(weights[at]!)) return both;
        if (!isWeight(row.weights[at]!)) return reuse.reuse[at]!;
        return both && reuse.reuse[at]! && row.reference === reference;
      });
      const [own, other] = [row.adaptiveReuse, reuse.adaptiveReuse];
      const agreed = own?.path === other?.path && own?.threshold === other?.threshold;
      if (!agreed || row.reference !== reference) row.adaptiveReuse = null;
      row.reference ??= reference;
    }
    row.weights = row.weights.map((weight, at) => weight + weights[at]!);
  }

  private key({ conditioning, edits }: Branch): string {
    return `${conditioning} ${edits.map((edit) => this.editIndex(edit)).join(' ')}`;
  }

  private editIndex(edit: PlanEdit): number {
    const key = this.editKey(edit);
    const known = this.edits.get(key);
    if (known) return known.index;
    const index = this.edits.size;
    this.edits.set(key, { index, edit });
    return index;
  }

  /** Edits are equal when their fields are; a tensor is equal to itself alone. */
  private editKey({ source, sigma, ...rest }: PlanEdit): string {
    let tensor = -1;
    if (source) {
      tensor = this.tensors.get(source) ?? this.tensors.size;
      this.tensors.set(source, tensor);
    }
    // JSON has no Infinity, which is a sigma that means something.
    return JSON.stringify([String(sigma), tensor, Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))]);
  }
}

/** The branch that a difference is to, where the row is ever reused. */
function referenceOf({ reuse, adaptiveReuse, reference }: Row): string | null {
  return adaptiveReuse || reuse.includes(true) ? reference : null;
}

/** Names that no two branches share: activations are asked for by them, and written under them. */
function distinctNames(names: readonly string[]): string[] {
  const all = new Set(names);
  return names.map((name, index) => {
    if (names.indexOf(name) === index) return name;
    let count = 2;
    while (all.has(`${name} (${count})`)) count++;
    all.add(`${name} (${count})`);
    return `${name} (${count})`;
  });
}

function isWeight(weight: number): boolean {
  return Math.abs(weight) > 1e-12;
}

function checkSum(weights: readonly number[], step: number): void {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (Math.abs(sum - 1) <= 1e-9) return;
  throw invalid('options.guidance', 'weights that add up to 1 in every step', sum, { note: `in step ${step}` });
}
