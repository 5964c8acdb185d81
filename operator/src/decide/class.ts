import { type Bank, type BankClass, DEFAULT_CLASS_ANNOTATION, isDefaultClass } from '@bankhouse/core';
import { fails, type Verdict } from './verdict.ts';

export interface ClassInput {
  bank: Pick<Bank, 'metadata' | 'spec' | 'status'>;
  classes: readonly BankClass[];
  /** Of the Bank's namespace. */
  namespaceLabels: Readonly<Record<string, string>>;
  /** Other Banks of the namespace that have the class. */
  countOthers(className: string): number;
}

export type ClassChoice = { kind: 'chosen'; bankClass: BankClass } | { kind: 'refused'; verdict: Verdict };

/**
 * The class that a bank follows:
 *
 * | spec.className | the bank's class so far | it follows                                                          |
 * |----------------|-------------------------|---------------------------------------------------------------------|
 * | given          | the same, or another    | the one that is given                                               |
 * | absent         | one                     | that: a mark that moves, or is taken off, moves nobody              |
 * | absent         | none                    | the class marked as default; of several the newest, as StorageClass |
 *
 * Whether it may is judged when it comes to a class; who has it keeps it, whatever the class allows later. No message names another
 * tenant's classes or namespaces.
 */
export function chooseClass({ bank, classes, namespaceLabels, countOthers }: ClassInput): ClassChoice {
  const soFar = bank.status?.className;
  const name = bank.spec.className ?? soFar ?? defaultOf(classes)?.metadata.name;
  if (name === undefined) return refuse('NoDefaultClass', NO_DEFAULT);
  const bankClass = classes.find(({ metadata }) => metadata.name === name);
  if (bankClass === undefined) {
    return refuse(
      'ClassNotFound',
      `There is no BankClass "${name}"; create it, or name another one in spec.className.`,
    );
  }
  if (soFar === name) return { kind: 'chosen', bankClass };
  if (bankClass.metadata.deletionTimestamp !== undefined) {
    return refuse('ClassNotFound', `The BankClass "${name}" is being deleted; name another one in spec.className.`);
  }
  if (!allowsNamespace(bankClass, bank.metadata.namespace ?? '', namespaceLabels)) {
    const message = `The BankClass "${name}" is not for Banks in the namespace ${bank.metadata.namespace}; name another one in spec.className, or ask whoever runs the platform.`;
    return refuse('ClassNotAllowed', message);
  }
  const most = bankClass.spec.maxBanksPerNamespace;
  if (most !== undefined && countOthers(name) >= most) {
    const message = `The namespace ${bank.metadata.namespace} has the ${most} Banks of the class "${name}" that it may have; delete one, or ask whoever runs the platform for more.`;
    return refuse('QuotaExceeded', message);
  }
  return { kind: 'chosen', bankClass };
}

const NO_DEFAULT = `No BankClass is marked as default; name one in spec.className, or set the annotation ${DEFAULT_CLASS_ANNOTATION} on one to "true".`;

/** Of several the newest; made in the same second, the first by name. */
export function defaultOf(classes: readonly BankClass[]): BankClass | undefined {
  return classes
    .filter((bankClass) => isDefaultClass(bankClass) && bankClass.metadata.deletionTimestamp === undefined)
    .sort(
      (a, b) =>
        (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? '') ||
        a.metadata.name.localeCompare(b.metadata.name),
    )[0];
}

function allowsNamespace({ spec }: BankClass, namespace: string, labels: Readonly<Record<string, string>>): boolean {
  const { allowedNamespaces } = spec;
  if (allowedNamespaces === undefined) return true;
  const { names, matchLabels } = allowedNamespaces;
  if (names?.includes(namespace) === true) return true;
  return matchLabels !== undefined && Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
}

function refuse(reason: string, message: string): ClassChoice {
  return { kind: 'refused', verdict: fails(reason, message) };
}
