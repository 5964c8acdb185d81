import {
  type Bank,
  type BankClass,
  bankIdOf,
  DEFAULT_CLASS_ANNOTATION,
  isDefaultClass,
  type McpServer,
} from '@bankhouse/core';
import { type KubeObject, keyOf, type Notice } from '@bankhouse/kube';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bankKeyOf, classesOf, type Heard, isWaiting, Mapping } from '../src/mapping.ts';
import { aBank, aClass, anMcpServer } from './fixtures.ts';

/** A small cluster, so that names meet often. */
const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
const namespace = oneOf('n1', 'n2');
const className = oneOf('c1', 'c2');
const uid = oneOf('u1', 'u2', 'u3');

const bank = fc
  .record({
    namespace,
    name: oneOf('b1', 'b2', 'b3'),
    uid,
    spec: fc.record({ id: oneOf(undefined, 'b1', 'x'), className: fc.option(className, { nil: undefined }) }),
    status: fc.option(fc.record({ className: fc.option(className, { nil: undefined }), incarnation: uid }), {
      nil: undefined,
    }),
  })
  .map(({ namespace, name, uid, spec, status }): Bank => ({ ...aBank(spec, { namespace, name, uid }), status }));

const bankClass = fc
  .record({ name: className, generation: oneOf(1, 2), isDefault: fc.boolean(), isGoing: fc.boolean(), uid })
  .map(({ name, generation, isDefault, isGoing, uid }): BankClass => {
    const annotations = isDefault ? { [DEFAULT_CLASS_ANNOTATION]: 'true' } : {};
    const metadata = { name, uid, generation, annotations, ...(isGoing ? { deletionTimestamp: 'now' } : {}) };
    return { ...aClass(name), metadata };
  });

const server = fc
  .record({
    namespace,
    name: oneOf('s1', 's2', 's3', 's4'),
    bank: oneOf('b1', 'b2'),
    prefix: oneOf('p.', 'q.'),
    at: oneOf('1', '2'),
    uid,
  })
  .map(({ namespace, name, bank, prefix, at, uid }): McpServer => {
    const made = anMcpServer(name, prefix, at);
    return {
      ...made,
      metadata: { ...made.metadata, namespace, uid: `${uid}-${name}` },
      spec: { ...made.spec, bankRef: { name: bank } },
    };
  });

const owner = fc.record({
  apiVersion: fc.constant('x'),
  kind: oneOf('Bank', 'Namespace', 'McpServer', 'Other'),
  name: oneOf('b1', 'c1', 's1'),
  uid,
  controller: fc.boolean(),
});
const confined = fc.option(fc.record({ 'bankhouse.dev/class': className }), { nil: undefined });
const child = fc
  .record({
    namespace,
    name: oneOf('bank-b1', 'bank-x', 'other', 'bankclass.c1', 'bankclass-embeddings.c1'),
    uid,
    labels: confined,
    ownerReferences: fc.option(fc.array(owner, { maxLength: 2 }), { nil: undefined }),
  })
  .map((metadata): KubeObject => ({ metadata }));
const pod = fc
  .record({ namespace, name: oneOf('p1', 'p2'), uid, id: oneOf(undefined, 'b1', 'x'), confined })
  .map(({ namespace, name, uid, id, confined }): KubeObject => {
    const labels = { ...confined, ...(id === undefined ? {} : { 'bankhouse.dev/bank': id }) };
    return { metadata: { namespace, name, uid, labels } };
  });
const place = fc.record({ name: namespace, uid }).map((metadata): KubeObject => ({ metadata }));

type Happening = { of: Heard['of']; object: KubeObject; isDeleted: boolean };
const happening = fc
  .oneof(
    bank.map((object) => ({ of: 'Bank' as const, object })),
    bankClass.map((object) => ({ of: 'BankClass' as const, object })),
    server.map((object) => ({ of: 'McpServer' as const, object })),
    child.map((object) => ({ of: 'child' as const, object })),
    pod.map((object) => ({ of: 'pod' as const, object })),
    place.map((object) => ({ of: 'namespace' as const, object })),
  )
  .chain((made) => fc.boolean().map((isDeleted): Happening => ({ ...made, isDeleted })));

/** Everything that there is, and notices as a reflector gives them. */
class World {
  readonly objects = new Map<string, { of: Heard['of']; object: KubeObject }>();

  take({ of, object, isDeleted }: Happening): Heard | undefined {
    const key = `${of} ${keyOf(object)}`;
    const before = this.objects.get(key)?.object;
    if (isDeleted && before === undefined) return undefined;
    if (isDeleted) this.objects.delete(key);
    else this.objects.set(key, { of, object });
    const isSame = before?.metadata.uid === object.metadata.uid;
    const kind = isDeleted ? 'deleted' : before === undefined ? 'added' : isSame ? 'modified' : 'recreated';
    // What is deleted is told as it last was.
    const notice = { kind, object: isDeleted ? (before as KubeObject) : object, before, listed: false } as const;
    return { of, notice } as Heard;
  }

  all<T extends KubeObject>(of: Heard['of']): T[] {
    return [...this.objects.values()].filter((entry) => entry.of === of).map(({ object }) => object as T);
  }
}

/** The definition: who is concerned, by looking at everything there is before and after. */
function concerned(heard: Heard, before: World, after: World): Set<string> {
  const found = new Set<string>();
  const add = (kind: string, key: string) => void found.add(`${kind}/${key}`);
  const { notice } = heard;
  const banksWith = (id: string | undefined, namespace: string | undefined) =>
    after.all<Bank>('Bank').filter((b) => bankIdOf(b) === id && b.metadata.namespace === namespace);
  const both: KubeObject[] = [notice.object, ...(notice.before === undefined ? [] : [notice.before])];
  const placeOf = ({ metadata }: KubeObject) => `${metadata.namespace}/${metadata.labels?.['bankhouse.dev/class']}`;
  /** Where the label of a class is carried by nothing any more. */
  const addConfinement = () => {
    const { before } = notice;
    if (before?.metadata.labels?.['bankhouse.dev/class'] === undefined) return;
    const left = [...after.all('child'), ...after.all('pod')].filter((each) => placeOf(each) === placeOf(before));
    if (left.length === 0) add('Confinement', placeOf(before));
  };
  switch (heard.of) {
    case 'Bank': {
      const key = keyOf(notice.object);
      add('Bank', key);
      if (notice.kind !== 'modified') {
        for (const s of after.all<McpServer>('McpServer')) if (bankKeyOf(s) === key) add('McpServer', keyOf(s));
      }
      const from = heard.notice.before?.status?.className;
      const to = notice.kind === 'deleted' ? undefined : heard.notice.object.status?.className;
      if (from !== to || notice.kind !== 'modified') {
        for (const name of [from, to]) {
          if (name === undefined) continue;
          add('BankClass', name);
          add('Confinement', `${notice.object.metadata.namespace}/${name}`);
        }
      }
      return found;
    }
    case 'BankClass': {
      const { name } = notice.object.metadata;
      add('BankClass', name);
      const [a, b] = [heard.notice.before, heard.notice.object];
      const moved =
        notice.kind !== 'modified' ||
        a?.metadata.generation !== b.metadata.generation ||
        a?.metadata.deletionTimestamp !== b.metadata.deletionTimestamp ||
        isDefaultClass(a as BankClass) !== isDefaultClass(b);
      if (!moved) return found;
      const marked = isDefaultClass(b) || (a !== undefined && isDefaultClass(a));
      for (const bank of after.all<Bank>('Bank')) {
        if (classesOf(bank).includes(name)) {
          add('Bank', keyOf(bank));
          add('Confinement', `${bank.metadata.namespace}/${name}`);
        }
        if (marked && isWaiting(bank) && bank.spec.className === undefined) add('Bank', keyOf(bank));
      }
      return found;
    }
    case 'McpServer': {
      add('McpServer', keyOf(notice.object));
      const prefixOf = (s: McpServer) => `${bankKeyOf(s)} ${s.spec.toolPrefix}`;
      for (const server of both as McpServer[]) {
        const prefix = prefixOf(server);
        const holderIn = (world: World) => {
          const sinceOf = (s: McpServer) => `${s.metadata.creationTimestamp} ${s.metadata.uid}`;
          const all = world.all<McpServer>('McpServer').filter((s) => prefixOf(s) === prefix);
          return all.sort((x, y) => (sinceOf(x) < sinceOf(y) ? -1 : 1))[0];
        };
        const [was, is] = [holderIn(before), holderIn(after)];
        if (is === undefined || (was !== undefined && keyOf(was) === keyOf(is))) continue;
        for (const s of after.all<McpServer>('McpServer')) if (prefixOf(s) === prefix) add('McpServer', keyOf(s));
      }
      return found;
    }
    case 'child':
      for (const { metadata } of both) {
        const owners = metadata.ownerReferences?.filter(({ controller }) => controller === true) ?? [];
        for (const { kind, name } of owners) {
          if (kind === 'Bank' || kind === 'McpServer') add(kind, `${metadata.namespace}/${name}`);
        }
        const className = /^bankclass(?:-embeddings)?\.(.*)$/.exec(metadata.name)?.[1];
        if (className !== undefined) add('Confinement', `${metadata.namespace}/${className}`);
        if (owners.some(({ kind }) => kind === 'Bank') || !metadata.name.startsWith('bank-')) continue;
        for (const bank of banksWith(metadata.name.slice(5), metadata.namespace)) add('Bank', keyOf(bank));
      }
      addConfinement();
      return found;
    case 'pod':
      for (const { metadata } of both) {
        const id = metadata.labels?.['bankhouse.dev/bank'];
        if (id !== undefined) for (const bank of banksWith(id, metadata.namespace)) add('Bank', keyOf(bank));
      }
      addConfinement();
      return found;
    case 'namespace':
      for (const bank of after.all<Bank>('Bank')) {
        if (isWaiting(bank) && bank.metadata.namespace === notice.object.metadata.name) add('Bank', keyOf(bank));
      }
      return found;
  }
}

describe('K4: from watch events to keys', () => {
  test('the indexed mapping concerns whom the definition does, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const [mapping, before, after] = [new Mapping(), new World(), new World()];
        for (const each of happenings) {
          const heard = after.take(each);
          if (heard === undefined) continue;
          const due = mapping.observe(heard).map(({ kind, key }) => `${kind}/${key}`);
          expect(new Set(due).size).toBe(due.length);
          expect(new Set(due)).toEqual(concerned(heard, before, after));
          before.take(each);
        }
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  const notice = <T extends KubeObject>(object: T): Notice<T> => ({
    kind: 'added',
    object,
    before: undefined,
    listed: true,
  });

  test.each([
    {
      sentence: 'of one bank, each with a prefix of its own',
      prefix: (index: number) => `p${index}.`,
      bank: () => 'acme',
    },
    { sentence: 'of one bank, all with one prefix', prefix: () => 'p.', bank: () => 'acme' },
    { sentence: 'of as many banks', prefix: () => 'p.', bank: (index: number) => `b${index}` },
  ])(
    'ten times the Banks and McpServers $sentence take ten times as long at start, not a hundred',
    ({ prefix, bank }) => {
      const [oneBank, oneServer] = [aBank(), anMcpServer('s', 'p.', '0')];
      const take = (count: number) => {
        const heard: Heard[] = [];
        for (let index = 0; index < count; index += 1) {
          const [name, uid] = [`b${index}`, `b${index}`];
          heard.push({ of: 'Bank', notice: notice({ ...oneBank, metadata: { ...oneBank.metadata, name, uid } }) });
          // The younger one first, which is the worst case.
          const metadata = { ...oneServer.metadata, name: `s${index}`, creationTimestamp: String(99_999 - index) };
          const spec = { ...oneServer.spec, bankRef: { name: bank(index) }, toolPrefix: prefix(index) };
          heard.push({ of: 'McpServer', notice: notice({ ...oneServer, metadata, spec }) });
        }
        const mapping = new Mapping();
        // What the thread computes, however busy the machine is.
        const before = process.threadCpuUsage();
        for (const each of heard) mapping.observe(each, false);
        return process.threadCpuUsage(before).user;
      };
      const best = (count: number) => Math.min(...[1, 2, 3].map(() => take(count)));
      best(1_000);
      expect(best(20_000)).toBeLessThan(40 * best(2_000));
    },
    60_000,
  );
});
