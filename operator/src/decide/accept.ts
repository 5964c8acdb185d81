import type { Bank } from '@bankhouse/core';
import { type BankClass, bankIdOf, DEFAULT_CLASS_ANNOTATION, FINALIZER, isDefaultClass } from '@bankhouse/core';
import { fails, holds, type Verdict } from './verdict.ts';

/** What acceptance is judged by. */
export interface AcceptanceInput {
  bank: Bank;
  /** Every Bank in the cluster with this bank's id, itself included. */
  sameId: readonly Bank[];
  classes: readonly BankClass[];
}

export type Acceptance =
  | { kind: 'accepted'; verdict: Verdict; bankClass: BankClass }
  | { kind: 'rejected'; verdict: Verdict };

type Rule = (input: AcceptanceInput) => Verdict | undefined;

/** Rules in order; the first that objects decides. */
const RULES: readonly Rule[] = [idIsTaken, classIsMissing, defaultClassIsMissing, defaultClassIsAmbiguous];

export function accept(input: AcceptanceInput): Acceptance {
  for (const rule of RULES) {
    const verdict = rule(input);
    if (verdict !== undefined) return { kind: 'rejected', verdict };
  }
  const bankClass = classOf(input);
  if (bankClass === undefined) return { kind: 'rejected', verdict: fails('ClassNotFound', 'No class was found.') };
  return { kind: 'accepted', verdict: holds('Accepted', 'The id is free and the class is there.'), bankClass };
}

/** Of several Banks with one id, the oldest has it; made in the same second, the one that already works, else by uid. */
export function holderOf(banks: readonly Bank[]): Bank | undefined {
  return [...banks].sort(bySeniority)[0];
}

function bySeniority(a: Bank, b: Bank): number {
  const times = (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');
  if (times !== 0) return times;
  const works = Number(hasFinalizer(b)) - Number(hasFinalizer(a));
  return works !== 0 ? works : (a.metadata.uid ?? '').localeCompare(b.metadata.uid ?? '');
}

function hasFinalizer(bank: Bank): boolean {
  return bank.metadata.finalizers?.includes(FINALIZER) === true;
}

function idIsTaken({ bank, sameId }: AcceptanceInput): Verdict | undefined {
  const holder = holderOf(sameId);
  if (holder === undefined || holder.metadata.uid === bank.metadata.uid) return undefined;
  const name = `${holder.metadata.namespace}/${holder.metadata.name}`;
  return fails(
    'DuplicateId',
    `The id "${bankIdOf(bank)}" belongs to the Bank ${name}, which is older; create this Bank again with another spec.id.`,
  );
}

function classIsMissing({ bank, classes }: AcceptanceInput): Verdict | undefined {
  const name = bank.spec.className;
  if (name === undefined || classes.some((c) => c.metadata.name === name)) return undefined;
  const known = classes.map((c) => c.metadata.name).sort();
  return fails(
    'ClassNotFound',
    `There is no BankClass "${name}"; ${known.length === 0 ? 'create it' : `create it, or set spec.className to one of: ${known.join(', ')}`}.`,
  );
}

function defaultClassIsMissing({ bank, classes }: AcceptanceInput): Verdict | undefined {
  if (bank.spec.className !== undefined || defaultsOf(classes).length > 0) return undefined;
  return fails(
    'NoDefaultClass',
    `No BankClass is marked as default; annotate one with ${DEFAULT_CLASS_ANNOTATION}: "true", or name one in spec.className.`,
  );
}

function defaultClassIsAmbiguous(input: AcceptanceInput): Verdict | undefined {
  if (input.bank.spec.className !== undefined || classOf(input) !== undefined) return undefined;
  const names = defaultsOf(input.classes).map((c) => c.metadata.name);
  return fails(
    'SeveralDefaultClasses',
    `Several BankClasses are marked as default (${names.join(', ')}); leave the mark on one, or name one in spec.className.`,
  );
}

/** The class in force. A bank that already follows one of several defaults stays with it. */
function classOf({ bank, classes }: AcceptanceInput): BankClass | undefined {
  const { className } = bank.spec;
  if (className !== undefined) return classes.find((c) => c.metadata.name === className);
  const defaults = defaultsOf(classes);
  return defaults.length === 1 ? defaults[0] : defaults.find((c) => c.metadata.name === bank.status?.className);
}

export function defaultsOf(classes: readonly BankClass[]): BankClass[] {
  return classes.filter(isDefaultClass).sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}
