import { databaseRole } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { eraseTime } from '../src/bank/cleanup.ts';
import { makePassword, passwordIn, sealKeysOf, secretsOf } from '../src/bank/credentials.ts';
import { isAsWanted } from '../src/bank/database.ts';
import { transitionOf } from '../src/bank/index.ts';
import { chooseClass } from '../src/decide/class.ts';
import { judgeMcpServer } from '../src/decide/mcp-server.ts';
import { phaseOf } from '../src/decide/phase.ts';
import { provenWith } from '../src/decide/proven.ts';
import { isSettled, judgeServer } from '../src/decide/server.ts';
import { fails, holds, starting, type Verdict, waits } from '../src/decide/verdict.ts';
import { versionOf } from '../src/decide/version.ts';
import { buildSecret } from '../src/resources/index.ts';
import { aBank, aClass, aDefaultClass, aDeployment, anMcpServer, settings } from './fixtures.ts';

const standard = aDefaultClass('standard', '2026-01-01T00:00:00Z');
const newer = aDefaultClass('newer', '2026-02-02T00:00:00Z');

describe('which class a Bank follows', () => {
  const follows = (className: string, spec: Parameters<typeof aBank>[0] = {}) => ({
    ...aBank(spec),
    status: { className },
  });
  const going = { ...aClass('gold'), metadata: { name: 'gold', deletionTimestamp: '2026-03-03T00:00:00Z' } };
  const rows = [
    {
      sentence: 'the default class, where it names none',
      bank: aBank(),
      classes: [standard, aClass('gold')],
      expected: 'standard',
    },
    {
      sentence: 'the one that it names',
      bank: aBank({ className: 'gold' }),
      classes: [standard, aClass('gold')],
      expected: 'gold',
    },
    {
      sentence: 'none, where that is not there',
      bank: aBank({ className: 'gold' }),
      classes: [standard],
      expected: 'ClassNotFound',
    },
    {
      sentence: 'none, where none is the default',
      bank: aBank(),
      classes: [aClass('gold')],
      expected: 'NoDefaultClass',
    },
    { sentence: 'K3: of several defaults the newest', bank: aBank(), classes: [newer, standard], expected: 'newer' },
    {
      sentence: 'K3: its class, where the mark moves',
      bank: follows('standard'),
      classes: [aClass('standard'), newer],
      expected: 'standard',
    },
    {
      sentence: 'K3: its class, where the mark is taken off',
      bank: follows('standard'),
      classes: [aClass('standard')],
      expected: 'standard',
    },
    {
      sentence: 'K3: its class, while that is being deleted',
      bank: follows('gold'),
      classes: [going],
      expected: 'gold',
    },
    {
      sentence: 'K3: none new that is being deleted',
      bank: aBank({ className: 'gold' }),
      classes: [going],
      expected: 'ClassNotFound',
    },
    {
      sentence: 'another one that it names later',
      bank: follows('standard', { className: 'gold' }),
      classes: [standard, aClass('gold')],
      expected: 'gold',
    },
    {
      sentence: 'K13: one for its namespace by name',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { allowedNamespaces: { names: ['banks'] } })],
      expected: 'gold',
    },
    {
      sentence: 'K13: one for its namespace by label',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { allowedNamespaces: { names: [], matchLabels: { team: 'a' } } })],
      expected: 'gold',
    },
    {
      sentence: 'K13: not one for others',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { allowedNamespaces: { names: ['x'], matchLabels: { team: 'b' } } })],
      expected: 'ClassNotAllowed',
    },
    {
      sentence: 'K13: not one for nobody',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { allowedNamespaces: {} })],
      expected: 'ClassNotAllowed',
    },
    {
      sentence: 'K13: its class, also when it is no longer allowed',
      bank: follows('gold'),
      classes: [aClass('gold', { allowedNamespaces: {} })],
      expected: 'gold',
    },
    {
      sentence: 'K13: one with a place free',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { maxBanksPerNamespace: 3 })],
      expected: 'gold',
    },
    {
      sentence: 'K13: not one without',
      bank: aBank({ className: 'gold' }),
      classes: [aClass('gold', { maxBanksPerNamespace: 2 })],
      expected: 'QuotaExceeded',
    },
    {
      sentence: 'K13: its class, also when there are too many',
      bank: follows('gold'),
      classes: [aClass('gold', { maxBanksPerNamespace: 0 })],
      expected: 'gold',
    },
  ];
  test.each(rows)('$sentence', ({ bank, classes, expected }) => {
    const choice = chooseClass({ bank, classes, namespaceLabels: { team: 'a' }, countOthers: () => 2 });
    expect(choice.kind === 'chosen' ? choice.bankClass.metadata.name : choice.verdict.reason).toBe(expected);
  });

  test('K13: no message names classes that the Bank did not name', () => {
    const classes = [aClass('secret-project')];
    for (const bank of [aBank(), aBank({ className: 'gold' })]) {
      const choice = chooseClass({ bank, classes, namespaceLabels: {}, countOthers: () => 0 });
      expect(JSON.stringify(choice)).not.toContain('secret-project');
    }
  });
});

describe('what Deployment and pods say', () => {
  const look = { suspended: false, selector: 'x', now: 0, wantedImage: 'x:2' };
  test.each([
    { sentence: 'a bank that is suspended', look: { ...look, suspended: true }, expected: 'False Suspended' },
    { sentence: 'no Deployment yet', expected: 'Unknown Waiting' },
    { sentence: 'no pod yet', deployment: aDeployment(undefined), expected: 'False PodStarts' },
    {
      sentence: 'a pod that the cluster refuses',
      deployment: aDeployment({ conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'no' }] }),
      expected: 'False PodRefused',
    },
  ])('$sentence', ({ deployment, look: seen = look, expected }) => {
    const { status, reason } = judgeServer(deployment, [], seen);
    expect(`${status} ${reason}`).toBe(expected);
  });

  test.each([
    { sentence: 'one new pod', status: { observedGeneration: 2, replicas: 1, updatedReplicas: 1 }, expected: true },
    {
      sentence: 'an old pod beside it',
      status: { observedGeneration: 2, replicas: 2, updatedReplicas: 1 },
      expected: false,
    },
    {
      sentence: 'a change not seen yet',
      status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1 },
      expected: false,
    },
    { sentence: 'no pod', status: { observedGeneration: 2, replicas: 0, updatedReplicas: 0 }, expected: false },
  ])('an answer speaks for the wanted pods: $sentence is $expected', ({ status, expected }) => {
    expect(isSettled(aDeployment(status))).toBe(expected);
  });
});

describe('one word for people', () => {
  const held = holds('Fine', 'fine');
  const rows: {
    sentence: string;
    accepted?: Verdict;
    database?: Verdict;
    ready?: Verdict;
    suspended?: boolean;
    deleting?: boolean;
    phase: string;
  }[] = [
    { sentence: 'all holds', phase: 'Ready' },
    { sentence: 'nothing is known yet', accepted: waits('x'), ready: starting('Waiting', 'x'), phase: 'Starting' },
    { sentence: 'not accepted', accepted: fails('IdTaken', 'x'), ready: fails('IdTaken', 'x'), phase: 'Rejected' },
    {
      sentence: 'not accepted, because nobody could be asked',
      accepted: fails('Unreachable', 'x'),
      ready: fails('Unreachable', 'x'),
      phase: 'Failing',
    },
    {
      sentence: 'the database is away',
      database: fails('Unreachable', 'x'),
      ready: fails('Unreachable', 'x'),
      phase: 'Failing',
    },
    { sentence: 'the pod starts', ready: starting('PodStarts', 'x'), phase: 'Starting' },
    { sentence: 'suspended', ready: fails('Suspended', 'x'), suspended: true, phase: 'Suspended' },
    {
      sentence: 'suspended, with the database away',
      database: fails('Unreachable', 'x'),
      ready: fails('Unreachable', 'x'),
      suspended: true,
      phase: 'Failing',
    },
    { sentence: 'going', ready: fails('Deleting', 'x'), deleting: true, phase: 'Deleting' },
  ];
  test.each(rows)(
    '$sentence: $phase',
    ({ accepted = held, database = held, ready = held, suspended = false, deleting = false, phase }) => {
      expect(phaseOf({ suspended, deleting }, { accepted, database, ready })).toBe(phase);
    },
  );
});

describe('when rows are erased', () => {
  const hour = 3_600_000;
  test.each([
    { sentence: 'after a week', spec: {}, expected: 168 * hour },
    { sentence: 'as the Bank says', spec: { deleteAfter: '1h30m' }, expected: 1.5 * hour },
    { sentence: 'at once', spec: { deleteAfter: '0s' }, expected: 0 },
    { sentence: 'never', spec: { deletionPolicy: 'Retain' as const, deleteAfter: '0s' }, expected: undefined },
    { sentence: 'at once by annotation', spec: {}, annotations: { 'bankhouse.dev/erase-now': 'true' }, expected: 0 },
    {
      sentence: 'never, whatever the annotation',
      spec: { deletionPolicy: 'Retain' as const },
      annotations: { 'bankhouse.dev/erase-now': 'true' },
      expected: undefined,
    },
  ])('$sentence', ({ spec, annotations, expected }) => {
    const time = eraseTime(aBank(spec, annotations === undefined ? {} : { annotations }), 1_000_000);
    expect(time === undefined ? undefined : time - 1_000_000).toBe(expected);
  });
});

describe('what an Event tells', () => {
  const rows: {
    sentence: string;
    before?: { status: string; reason: string };
    ready: Verdict;
    told: string | undefined;
  }[] = [
    { sentence: 'a bank that became ready', ready: holds('Ready', 'x'), told: 'Normal Ready' },
    {
      sentence: 'not that it still is',
      before: { status: 'True', reason: 'Ready' },
      ready: holds('Ready', 'x'),
      told: undefined,
    },
    { sentence: 'not that it starts', ready: starting('PodStarts', 'x'), told: undefined },
    {
      sentence: 'that it stopped being ready',
      before: { status: 'True', reason: 'Ready' },
      ready: starting('PodStarts', 'x'),
      told: 'Warning PodStarts',
    },
    { sentence: 'a fault', ready: fails('Unreachable', 'x'), told: 'Warning Unreachable' },
    {
      sentence: 'not a fault that all have, of a bank that was not ready',
      ready: { ...fails('Unreachable', 'x'), isShared: true },
      told: undefined,
    },
    {
      sentence: 'that such a fault ended being ready',
      before: { status: 'True', reason: 'Ready' },
      ready: { ...fails('Unreachable', 'x'), isShared: true },
      told: 'Warning Unreachable',
    },
    {
      sentence: 'not the same fault again',
      before: { status: 'False', reason: 'Unreachable' },
      ready: fails('Unreachable', 'x'),
      told: undefined,
    },
    {
      sentence: 'a suspension, which is no fault',
      before: { status: 'True', reason: 'Ready' },
      ready: fails('Suspended', 'x'),
      told: 'Normal Suspended',
    },
  ];
  test.each(rows)('$sentence', ({ before, ready, told }) => {
    const event = transitionOf(before, ready);
    expect(event && `${event.type} ${event.reason}`).toBe(told);
  });
});

describe('servers', () => {
  test.each([
    { sentence: 'the older server keeps the prefix', at: '2026-01-01T00:00:00Z', prefix: 'shop.', reason: 'Accepted' },
    {
      sentence: 'the younger one is refused (R5.1)',
      at: '2026-03-01T00:00:00Z',
      prefix: 'shop.',
      reason: 'DuplicatePrefix',
    },
    { sentence: 'another prefix is free', at: '2026-03-01T00:00:00Z', prefix: 'mail.', reason: 'Accepted' },
  ])('$sentence', ({ at, prefix, reason }) => {
    const sibling = anMcpServer('sibling', 'shop.', '2026-02-01T00:00:00Z');
    const server = anMcpServer('server', prefix, at);
    const holder = [sibling, server]
      .filter(({ spec }) => spec.toolPrefix === prefix)
      .sort((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''))[0];
    expect(judgeMcpServer(server, aBank(), holder).reason).toBe(reason);
  });
});

describe('versions of images', () => {
  test.each([
    ['localhost/bankhouse/server:dev', 'dev'],
    ['registry:5000/server', 'latest'],
    ['registry:5000/server:1.2', '1.2'],
    ['x/y@sha256:abc', 'sha256:abc'],
  ])('%s runs %s', (image, version) => {
    expect(versionOf(image)).toBe(version);
  });
});

describe('K5: the password in a Secret', () => {
  const makers = { roots: new Map([[1, Buffer.alloc(32, 7)]]), uid: 'uid-acme' };
  const role = databaseRole(makers.uid, 'a');
  const secret = (url: string) => ({ data: { 'database-url': Buffer.from(url).toString('base64') } });
  const password = makePassword(makers);
  test.each([
    { sentence: 'is taken from its URL', given: secret(`postgres://${role}:${password}@db/x`), expected: password },
    { sentence: 'is not there without a Secret', given: undefined, expected: undefined },
    {
      sentence: "is not another role's",
      given: secret(`postgres://bank_acme_b:${password}@db/x`),
      expected: undefined,
    },
    {
      sentence: 'is not one that somebody chose',
      given: secret(`postgres://${role}:${'x'.repeat(43)}@db/x`),
      expected: undefined,
    },
    {
      sentence: 'is not one of another Bank',
      given: secret(`postgres://${role}:${makePassword({ ...makers, uid: 'other' })}@db/x`),
      expected: undefined,
    },
    {
      sentence: 'is not one of another platform',
      given: secret(
        `postgres://${role}:${makePassword({ ...makers, roots: new Map([[1, Buffer.alloc(32, 8)]]) })}@db/x`,
      ),
      expected: undefined,
    },
    { sentence: 'is not a short one', given: secret(`postgres://${role}:short@db/x`), expected: undefined },
    { sentence: 'is not in what is no URL', given: secret('nonsense'), expected: undefined },
  ])('$sentence', ({ given, expected }) => {
    expect(passwordIn(given, makers)).toBe(expected);
  });

  test('is another one each time, of 256 bits', () => {
    expect(password).toHaveLength(43);
    expect(makePassword(makers)).not.toBe(password);
  });
});

describe('whether the database is as wanted', () => {
  const record = {
    id: 'acme',
    uid: 'uid-acme',
    displayName: 'Acme',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    role: 'bank_acme_a',
    credentialDigest: 'd',
  };
  const state = {
    uid: 'uid-acme',
    displayName: 'Acme',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    roles: [{ role: 'bank_acme_a', credentialDigest: 'd' }],
    keyGenerations: [1],
    retired: false,
  };
  test.each([
    { sentence: 'it is', change: {}, expected: true },
    {
      sentence: 'a vault that is no longer named stays',
      change: { vaults: [...state.vaults, { id: 'old', displayName: 'Old' }] },
      expected: true,
    },
    { sentence: 'a vault is missing', change: { vaults: [] }, expected: false },
    { sentence: 'a vault has another name', change: { vaults: [{ id: 'sales', displayName: 'X' }] }, expected: false },
    { sentence: 'the role is gone', change: { roles: [] }, expected: false },
    {
      sentence: 'the role has another password',
      change: { roles: [{ role: 'bank_acme_a', credentialDigest: 'e' }] },
      expected: false,
    },
    { sentence: 'the keys are gone', change: { keyGenerations: [] }, expected: false },
    { sentence: 'it has only the keys of another root (G7)', change: { keyGenerations: [2] }, expected: false },
    { sentence: 'access was ended', change: { retired: true }, expected: false },
    { sentence: 'K1: it is of an earlier life of the id', change: { uid: 'uid-before' }, expected: false },
  ])('$sentence: $expected', ({ change, expected }) => {
    expect(isAsWanted({ ...state, ...change }, record, [1])).toBe(expected);
  });

  test('there is nothing yet', () => {
    expect(isAsWanted(undefined, record, [1])).toBe(false);
  });
});

describe('G9: the images that have proven themselves', () => {
  test.each<{ sentence: string; before: string[] | undefined; image: string | undefined; expected: object }>([
    { sentence: 'stay as they are without a proof', before: ['a'], image: undefined, expected: {} },
    { sentence: 'stay as they are when one is known', before: ['a', 'b'], image: 'b', expected: {} },
    { sentence: 'begin with the first', before: undefined, image: 'a', expected: { provenImages: ['a'] } },
    { sentence: 'have a new one first', before: ['a'], image: 'b', expected: { provenImages: ['b', 'a'] } },
    {
      sentence: 'are four, and the oldest goes',
      before: ['d', 'c', 'b', 'a'],
      image: 'e',
      expected: { provenImages: ['e', 'd', 'c', 'b'] },
    },
  ])('$sentence', ({ before, image, expected }) => {
    expect(provenWith(before, image)).toEqual(expected);
  });
});

describe('G7: when the root key is replaced, a bank', () => {
  const [first, second] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  const uid = 'uid-acme';
  const before = { roots: new Map([[1, first]]), uid };
  const during = {
    roots: new Map([
      [1, first],
      [2, second],
    ]),
    uid,
  };
  const after = { roots: new Map([[2, second]]), uid };
  const password = makePassword(before);
  const stored = (makers: typeof before) =>
    buildSecret(aBank(), secretsOf('acme', password, makers, settings.DATABASE_URL));

  test('has the keys of both roots while there are two, each as it is alone', () => {
    const [old, both, fresh] = [before, during, after].map(({ roots }) => sealKeysOf(roots, 'pod', 'acme', uid));
    expect(both).toEqual({ ...old, ...fresh });
    expect(Object.keys(both ?? {})).toEqual(['1', '2']);
  });

  test('keeps its password, so that no pod restarts, and its Secret is as it was until then', () => {
    expect(stored(before).data).not.toHaveProperty('password-proof');
    expect(passwordIn(stored(before), during)).toBe(password);
    expect(passwordIn(stored(during), after)).toBe(password);
    expect(passwordIn(stored(after), after)).toBe(password);
  });

  test.each([
    { sentence: 'was never said to be ours under the new root', secret: stored(before) },
    {
      sentence: 'somebody chose, with the proof of another',
      secret: {
        data: {
          ...stored(during).data,
          'database-url':
            buildSecret(aBank(), secretsOf('acme', 'A'.repeat(43), before, settings.DATABASE_URL)).data[
              'database-url'
            ] ?? '',
        },
      },
    },
    {
      sentence: 'is of another Bank',
      secret: buildSecret(aBank(), secretsOf('acme', password, { ...during, uid: 'another' }, settings.DATABASE_URL)),
    },
  ])('takes no password that $sentence', ({ secret }) => {
    expect(passwordIn(secret, after)).toBeUndefined();
  });
});
