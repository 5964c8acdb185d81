import {
  BANK_LABEL,
  type Bank,
  type BankClass,
  bankIdOf,
  CLASS_LABEL,
  childName,
  classOfPolicy,
  isDefaultClass,
  type McpServer,
} from '@bankhouse/core';
import { type KubeObject, keyOf, type Notice, splitKey } from '@bankhouse/kube';

/** What is reconciled. A `Confinement` is what the banks of one class in one namespace share; its key is `namespace/class`. */
export type ReconciledKind = 'Bank' | 'BankClass' | 'McpServer' | 'Confinement';

/** An object that a pass is due for. */
export interface Due {
  kind: ReconciledKind;
  key: string;
  /** Not before so many milliseconds, so that many notices become one pass. */
  delay?: number;
}

/** What watches tell, by what they watch. */
export type Heard =
  | { of: 'Bank'; notice: Notice<Bank> }
  | { of: 'BankClass'; notice: Notice<BankClass> }
  | { of: 'McpServer'; notice: Notice<McpServer> }
  | { of: 'child' | 'pod' | 'namespace'; notice: Notice<KubeObject> };

/** A class's count of banks is written at most this often, however many banks come and go. */
const COUNT_AFTER_MS = 5_000;

/** Key of the Bank that a server names. */
export function bankKeyOf(server: McpServer): string {
  return `${server.metadata.namespace}/${server.spec.bankRef.name}`;
}

/** The class that a Bank has; a refused one has none. */
export function classOf(bank: Bank): string | undefined {
  return bank.status?.className;
}

/** Classes that a Bank has or asks for. */
export function classesOf(bank: Bank): string[] {
  return [...new Set([bank.spec.className, classOf(bank)].flatMap((name) => name ?? []))];
}

/** Whether a Bank may be waiting for a class, a place in it, or its id. */
export function isWaiting({ metadata, spec, status }: Bank): boolean {
  if (status?.incarnation !== metadata.uid || status?.className === undefined) return true;
  return spec.className !== undefined && spec.className !== status.className;
}

/**
 * From watch events to the objects that they concern; no clock, no I/O, and no scan: every question is answered by an index, in time
 * proportional to the answer.
 *
 * | heard of     | concerns                                                                                                 |
 * |--------------|----------------------------------------------------------------------------------------------------------|
 * | a Bank       | itself; where it comes, goes or is another: its McpServers; where its class changes, or it goes: the class |
 * |              | (for its count) and what the class's banks share in the namespace                                         |
 * | a BankClass  | itself; where more than its status changed: Banks that have it or ask for it, and what they share;        |
 * |              | where it is or was marked as default: Banks that wait for a default                                       |
 * | an McpServer | itself; where a prefix has another holder by it: all of that prefix                                       |
 * | a child      | its owner; where that is no Bank: the Bank, or what the class's banks share, that the name is meant for;   |
 * | a pod        | the Bank that its label names                                                                             |
 * | both         | where it was the last in the namespace with the label of a class: what the class's banks share there       |
 * | a namespace  | Banks in it that wait                                                                                     |
 *
 * Who waits for an id is told when the id is forgotten, and who waits for a place by what its class shares: told of every Bank that
 * goes, ten thousand that wait would be told ten thousand times.
 */
export class Mapping {
  private readonly banksById = new Groups();
  private readonly banksByClass = new Groups();
  private readonly banksByPlace = new Groups();
  private readonly placesByClass = new Groups();
  private readonly waitingByNamespace = new Groups();
  private readonly waitingForDefault = new Groups();
  private readonly serversByBank = new Groups();
  private readonly podsByBank = new Groups();
  /** Deployments and pods. */
  private readonly confinedByPlace = new Groups();
  private readonly prefixes = new Map<string, Elders>();

  /** Keys of Banks with the id. */
  banksWithId(id: string): readonly string[] {
    return this.banksById.of(id);
  }

  /** Keys of Banks that have the class, or ask for it. */
  banksWithClass(name: string): readonly string[] {
    return this.banksByClass.of(name);
  }

  /** Keys of Banks in the namespace that have the class, or ask for it. */
  banksIn(namespace: string, className: string): readonly string[] {
    return this.banksByPlace.of(`${namespace}/${className}`);
  }

  /** Keys of Banks in the namespace that wait. */
  waitingIn(namespace: string): readonly string[] {
    return this.waitingByNamespace.of(namespace);
  }

  /** Keys of pods with the id's label in the namespace. */
  podsOf(namespace: string, id: string): readonly string[] {
    return this.podsByBank.of(`${namespace}/${id}`);
  }

  /** Whether a Deployment or a pod in the namespace carries the class's label. */
  isConfined(namespace: string, className: string): boolean {
    return this.confinedByPlace.sizeOf(`${namespace}/${className}`) > 0;
  }

  /** Key of the oldest McpServer of the Bank with the prefix. */
  holderOf(bankKey: string, prefix: string): string | undefined {
    return this.prefixes.get(`${bankKey} ${prefix}`)?.oldest;
  }

  /**
   * Takes the notice in and says whom it concerns, each once, the object itself first.
   *
   * @param others false: only itself, because everybody else is told of himself; so while the first lists come in
   */
  observe(heard: Heard, others = true): Due[] {
    const due = new Map<string, Due>();
    const add = (kind: ReconciledKind, key: string, delay?: number) => {
      const name = `${kind}/${key}`;
      if (!due.has(name)) due.set(name, { kind, key, ...(delay === undefined ? {} : { delay }) });
    };
    const addOthers = others ? add : undefined;
    switch (heard.of) {
      case 'Bank':
        add('Bank', keyOf(heard.notice.object));
        this.observeBank(heard.notice, addOthers);
        break;
      case 'BankClass':
        add('BankClass', heard.notice.object.metadata.name);
        this.observeClass(heard.notice, addOthers);
        break;
      case 'McpServer':
        add('McpServer', keyOf(heard.notice.object));
        this.observeServer(heard.notice, addOthers);
        break;
      case 'child':
        for (const { metadata } of bothOf(heard.notice)) this.addOwners(metadata, add);
        this.observeConfined('child', heard.notice, add);
        break;
      case 'pod':
        this.observePod(heard.notice, add);
        this.observeConfined('pod', heard.notice, add);
        break;
      case 'namespace':
        for (const bank of this.waitingIn(heard.notice.object.metadata.name)) addOthers?.('Bank', bank);
    }
    return [...due.values()];
  }

  private observeBank({ kind, object, before }: Notice<Bank>, add: Add | undefined): void {
    const key = keyOf(object);
    const after = kind === 'deleted' ? undefined : object;
    if (before !== undefined) this.indexBank(key, before, 'delete');
    if (after !== undefined) this.indexBank(key, after, 'add');
    if (add === undefined) return;
    if (kind !== 'modified') for (const server of this.serversByBank.of(key)) add('McpServer', server);
    const [from, to] = [before && classOf(before), after && classOf(after)];
    if (from === to && kind === 'modified') return;
    for (const name of [from, to]) {
      if (name === undefined) continue;
      add('BankClass', name, COUNT_AFTER_MS);
      add('Confinement', `${object.metadata.namespace}/${name}`);
    }
  }

  private observeClass({ kind, object, before }: Notice<BankClass>, add: Add | undefined): void {
    const { name } = object.metadata;
    if (add === undefined) return;
    // A status that moved concerns nobody else.
    if (kind === 'modified' && before !== undefined && !isNewToBanks(before, object)) return;
    for (const bank of this.banksByClass.of(name)) add('Bank', bank);
    for (const place of this.placesByClass.of(name)) add('Confinement', place);
    const marked = isDefaultClass(object) || (before !== undefined && isDefaultClass(before));
    if (marked) for (const bank of this.waitingForDefault.of('')) add('Bank', bank);
  }

  private observeServer({ kind, object, before }: Notice<McpServer>, add: Add | undefined): void {
    const key = keyOf(object);
    const after = kind === 'deleted' ? undefined : object;
    const touched = new Map<string, string | undefined>();
    for (const server of [before, after]) {
      if (server !== undefined) touched.set(prefixKeyOf(server), this.prefixes.get(prefixKeyOf(server))?.oldest);
    }
    if (before !== undefined) {
      this.serversByBank.delete(bankKeyOf(before), key);
      this.leavePrefix(prefixKeyOf(before), key);
    }
    if (after !== undefined) {
      this.serversByBank.add(bankKeyOf(after), key);
      this.joinPrefix(after);
    }
    if (add === undefined) return;
    for (const [prefix, holder] of touched) {
      const elders = this.prefixes.get(prefix);
      if (elders !== undefined && elders.oldest !== holder) for (const other of elders.keys()) add('McpServer', other);
    }
  }

  private observePod({ kind, object, before }: Notice<KubeObject>, add: Add): void {
    const after = kind === 'deleted' ? undefined : object;
    for (const [pod, change] of [
      [before, 'delete'],
      [after, 'add'],
    ] as const) {
      const id = pod?.metadata.labels?.[BANK_LABEL];
      if (pod === undefined || id === undefined) continue;
      this.podsByBank[change](`${pod.metadata.namespace}/${id}`, keyOf(pod));
      this.addBanksOf(id, pod.metadata.namespace, add);
    }
  }

  /** What carries a class's label needs that class's policies; with the last of them they may go. */
  private observeConfined(of: 'child' | 'pod', { kind, object, before }: Notice<KubeObject>, add: Add): void {
    const key = `${of} ${keyOf(object)}`;
    const [from, to] = [before && placeOf(before), kind === 'deleted' ? undefined : placeOf(object)];
    if (from !== undefined) this.confinedByPlace.delete(from, key);
    if (to !== undefined) this.confinedByPlace.add(to, key);
    if (from !== undefined && this.confinedByPlace.sizeOf(from) === 0) add('Confinement', from);
  }

  private joinPrefix(server: McpServer): void {
    const prefix = prefixKeyOf(server);
    const elders = this.prefixes.get(prefix) ?? new Elders();
    this.prefixes.set(prefix, elders);
    elders.add(keyOf(server), `${server.metadata.creationTimestamp} ${server.metadata.uid}`);
  }

  private leavePrefix(prefix: string, key: string): void {
    const elders = this.prefixes.get(prefix);
    elders?.delete(key);
    if (elders?.oldest === undefined) this.prefixes.delete(prefix);
  }

  private addOwners({ name, namespace = '', ownerReferences }: KubeObject['metadata'], add: Add): void {
    const owners = ownerReferences?.filter(({ controller }) => controller === true) ?? [];
    for (const owner of owners) {
      if (owner.kind === 'Bank' || owner.kind === 'McpServer') add(owner.kind, `${namespace}/${owner.name}`);
    }
    const className = classOfPolicy(name);
    if (className !== undefined) add('Confinement', `${namespace}/${className}`);
    // Somebody else's under a name of ours: who needs the name has to know when it is free.
    const isBanks = owners.some(({ kind }) => kind === 'Bank');
    if (!isBanks && name.startsWith(CHILD_PREFIX)) this.addBanksOf(name.slice(CHILD_PREFIX.length), namespace, add);
  }

  private addBanksOf(id: string, namespace: string | undefined, add: Add): void {
    for (const key of this.banksWithId(id)) if (splitKey(key).namespace === namespace) add('Bank', key);
  }

  private indexBank(key: string, bank: Bank, change: 'add' | 'delete'): void {
    const { namespace = '' } = bank.metadata;
    this.banksById[change](bankIdOf(bank), key);
    for (const name of classesOf(bank)) {
      const place = `${namespace}/${name}`;
      this.banksByClass[change](name, key);
      this.banksByPlace[change](place, key);
      if (this.banksByPlace.sizeOf(place) > 0) this.placesByClass.add(name, place);
      else this.placesByClass.delete(name, place);
    }
    if (!isWaiting(bank)) return;
    this.waitingByNamespace[change](namespace, key);
    if (bank.spec.className === undefined) this.waitingForDefault[change]('', key);
  }
}

type Add = (kind: ReconciledKind, key: string, delay?: number) => void;

const CHILD_PREFIX = childName('');
const NONE: ReadonlySet<string> = new Set();

/** Keys by group. */
class Groups {
  private readonly groups = new Map<string, Set<string>>();

  of(group: string): readonly string[] {
    return [...(this.groups.get(group) ?? NONE)];
  }

  sizeOf(group: string): number {
    return this.groups.get(group)?.size ?? 0;
  }

  add(group: string, key: string): void {
    const keys = this.groups.get(group);
    if (keys === undefined) this.groups.set(group, new Set([key]));
    else keys.add(key);
  }

  delete(group: string, key: string): void {
    const keys = this.groups.get(group);
    keys?.delete(key);
    if (keys?.size === 0) this.groups.delete(group);
  }
}

/** Keys with their seniority, and the oldest of them. */
class Elders {
  oldest: string | undefined;
  private readonly since = new Map<string, string>();

  keys(): Iterable<string> {
    return this.since.keys();
  }

  /** @param since sorts as time does */
  add(key: string, since: string): void {
    this.since.set(key, since);
    if (this.oldest === undefined || since < (this.since.get(this.oldest) ?? '')) this.oldest = key;
  }

  delete(key: string): void {
    this.since.delete(key);
    if (this.oldest !== key) return;
    this.oldest = undefined;
    let least = '';
    for (const [other, since] of this.since) {
      if (this.oldest !== undefined && since >= least) continue;
      this.oldest = other;
      least = since;
    }
  }
}

/** Spec, mark or deletion: what Banks go by. */
function isNewToBanks(before: BankClass, after: BankClass): boolean {
  return (
    before.metadata.generation !== after.metadata.generation ||
    before.metadata.deletionTimestamp !== after.metadata.deletionTimestamp ||
    isDefaultClass(before) !== isDefaultClass(after)
  );
}

function prefixKeyOf(server: McpServer): string {
  return `${bankKeyOf(server)} ${server.spec.toolPrefix}`;
}

/** Where what carries a class's label is confined, `namespace/class`. */
function placeOf({ metadata: { namespace = '', labels } }: KubeObject): string | undefined {
  const className = labels?.[CLASS_LABEL];
  return className === undefined ? undefined : `${namespace}/${className}`;
}

function bothOf({ object, before }: Notice<KubeObject>): KubeObject[] {
  return before === undefined || before === object ? [object] : [object, before];
}
