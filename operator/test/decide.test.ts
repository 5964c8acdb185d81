import { FINALIZER } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { accept } from '../src/decide/accept.ts';
import { openingVerdicts, summarize, toConditions, type Verdicts } from '../src/decide/conditions.ts';
import { judgeMcpServer } from '../src/decide/mcp-server.ts';
import { phaseOf } from '../src/decide/phase.ts';
import { isSettled, judgeServer } from '../src/decide/server.ts';
import { fails, holds, starting, type Verdict } from '../src/decide/verdict.ts';
import { versionOf } from '../src/decide/version.ts';
import { transitionOf } from '../src/reconcile-bank.ts';
import { judgeClass } from '../src/reconcile-class.ts';
import { passwordIn } from '../src/steps/credentials.ts';
import { isAsWanted } from '../src/steps/database.ts';
import { aBank, aClass, aDeployment, anMcpServer } from './fixtures.ts';

const standard = aClass('standard', {}, { isDefault: true });
const older = aBank({ id: 'acme' }, { name: 'older', uid: 'z', creationTimestamp: '2026-11-21T09:00:00Z' });
const sameSecond = (uid: string, finalizers: string[] = []) => aBank({ id: 'acme' }, { name: uid, uid, finalizers });

describe('whether a Bank is accepted', () => {
  const rows = [
    {
      sentence: 'one default class is the class',
      bank: aBank(),
      classes: [standard, aClass('gold')],
      expected: 'standard',
    },
    {
      sentence: 'a class that is named is the class',
      bank: aBank({ className: 'gold' }),
      classes: [standard, aClass('gold')],
      expected: 'gold',
    },
    {
      sentence: 'a class that is not there is named',
      bank: aBank({ className: 'gold' }),
      classes: [standard],
      expected: 'ClassNotFound',
    },
    {
      sentence: 'without a default a class must be named',
      bank: aBank(),
      classes: [aClass('gold')],
      expected: 'NoDefaultClass',
    },
    {
      sentence: 'two defaults refuse a new bank',
      bank: aBank(),
      classes: [standard, aClass('gold', {}, { isDefault: true })],
      expected: 'SeveralDefaultClasses',
    },
    {
      sentence: 'two defaults keep a bank that follows one of them',
      bank: { ...aBank(), status: { className: 'gold' } },
      classes: [standard, aClass('gold', {}, { isDefault: true })],
      expected: 'gold',
    },
    {
      sentence: 'the oldest Bank has the id',
      bank: aBank(),
      others: [older],
      classes: [standard],
      expected: 'DuplicateId',
    },
    {
      sentence: 'a younger Bank with the id does no harm',
      bank: older,
      others: [aBank()],
      classes: [standard],
      expected: 'standard',
    },
    {
      sentence: 'of one second, the one that already works has it',
      bank: sameSecond('b', [FINALIZER]),
      others: [sameSecond('a')],
      classes: [standard],
      expected: 'standard',
    },
    {
      sentence: 'of one second and none working, the uid decides',
      bank: sameSecond('b'),
      others: [sameSecond('a')],
      classes: [standard],
      expected: 'DuplicateId',
    },
  ];
  test.each(rows)('$sentence', ({ bank, others = [], classes, expected }) => {
    const acceptance = accept({ bank, sameId: [bank, ...others], classes });
    expect(acceptance.kind === 'accepted' ? acceptance.bankClass.metadata.name : acceptance.verdict.reason).toBe(
      expected,
    );
  });
});

describe('what the Deployment says', () => {
  const look = { suspended: false, selector: 'x' };
  test.each([
    { sentence: 'no Deployment yet', deployment: undefined, expected: 'Unknown Waiting' },
    { sentence: 'no status yet', deployment: aDeployment(undefined), expected: 'False PodStarts' },
    { sentence: 'an available pod', deployment: aDeployment({ availableReplicas: 1 }), expected: 'True Answers' },
    {
      sentence: 'a pod that the cluster refuses',
      deployment: aDeployment({ conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'quota' }] }),
      expected: 'False PodRefused',
    },
    {
      sentence: 'a pod that does not come up in time',
      deployment: aDeployment({ conditions: [{ type: 'Progressing', status: 'False' }] }),
      expected: 'False PodFails',
    },
  ])('$sentence', ({ deployment, expected }) => {
    const { status, reason } = judgeServer(deployment, look);
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

const allHold = (): Verdicts => {
  const held = holds('Fine', 'fine');
  return {
    Accepted: held,
    DatabaseReady: held,
    CredentialsReady: held,
    ServerReady: held,
    RouteReady: held,
    Verified: held,
  };
};
const but = (changes: Partial<Verdicts>): Verdicts => ({ ...allHold(), ...changes });

describe('one word and one sentence for people', () => {
  const rows: {
    sentence: string;
    verdicts: Verdicts;
    suspended?: boolean;
    deleting?: boolean;
    phase: string;
    ready: string;
  }[] = [
    { sentence: 'all holds', verdicts: allHold(), phase: 'Ready', ready: 'Ready' },
    { sentence: 'nothing is known yet', verdicts: openingVerdicts(), phase: 'Starting', ready: 'Waiting' },
    {
      sentence: 'not accepted',
      verdicts: but({ Accepted: fails('DuplicateId', 'x') }),
      phase: 'Rejected',
      ready: 'DuplicateId',
    },
    {
      sentence: 'the database is away',
      verdicts: but({ DatabaseReady: fails('Unreachable', 'x') }),
      phase: 'Failing',
      ready: 'Unreachable',
    },
    {
      sentence: 'the pod starts',
      verdicts: but({ ServerReady: starting('PodStarts', 'x') }),
      phase: 'Starting',
      ready: 'PodStarts',
    },
    {
      sentence: 'of two faults the first counts',
      verdicts: but({ DatabaseReady: fails('Unreachable', 'x'), Verified: fails('HandshakeFailed', 'y') }),
      phase: 'Failing',
      ready: 'Unreachable',
    },
    {
      sentence: 'suspended',
      verdicts: but({ ServerReady: fails('Suspended', 'x') }),
      suspended: true,
      phase: 'Suspended',
      ready: 'Suspended',
    },
    {
      sentence: 'going',
      verdicts: but({ DatabaseReady: fails('Unreachable', 'x') }),
      deleting: true,
      phase: 'Deleting',
      ready: 'Unreachable',
    },
  ];
  test.each(rows)('$sentence: $phase', ({ verdicts, suspended = false, deleting = false, phase, ready }) => {
    const summary = summarize(verdicts, 'https://x');
    expect(summary.reason).toBe(ready);
    expect(phaseOf({ suspended, deleting }, verdicts, summary)).toBe(phase);
  });
});

describe('conditions', () => {
  const [then, now] = ['2026-01-01T00:00:00Z', '2026-02-02T00:00:00Z'];
  const before = [{ type: 'Ready', status: 'False' as const, reason: 'A', message: 'a', lastTransitionTime: then }];
  test.each([
    { sentence: 'another reason does not move the time', verdict: fails('B', 'b'), time: then },
    { sentence: 'another status does', verdict: holds('B', 'b'), time: now },
  ])('$sentence', ({ verdict, time }) => {
    expect(toConditions(before, [['Ready', verdict]], 3, now)).toEqual([
      {
        type: 'Ready',
        status: verdict.status,
        reason: 'B',
        message: 'b',
        observedGeneration: 3,
        lastTransitionTime: time,
      },
    ]);
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

describe('classes and servers', () => {
  test('of two default classes both are told', () => {
    const other = aClass('gold', {}, { isDefault: true });
    expect(judgeClass(standard, [standard, other])).toMatchObject({ status: 'False', reason: 'SeveralDefaultClasses' });
    expect(judgeClass(aClass('silver'), [standard, other]).status).toBe('True');
  });

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
    expect(judgeMcpServer(server, aBank(), [sibling, server]).reason).toBe(reason);
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

describe('the password in a Secret', () => {
  const secret = (url: string) => ({ data: { 'database-url': Buffer.from(url).toString('base64') } });
  const password = 'x'.repeat(43);
  test.each([
    { sentence: 'is taken from its URL', given: secret(`postgres://bank_acme_a:${password}@db/x`), expected: password },
    { sentence: 'is not there without a Secret', given: undefined, expected: undefined },
    {
      sentence: "is not another role's",
      given: secret(`postgres://bank_acme_b:${password}@db/x`),
      expected: undefined,
    },
    { sentence: 'is not a short one', given: secret('postgres://bank_acme_a:short@db/x'), expected: undefined },
    { sentence: 'is not in what is no URL', given: secret('nonsense'), expected: undefined },
  ])('$sentence', ({ given, expected }) => {
    expect(passwordIn(given, 'bank_acme_a')).toBe(expected);
  });
});

describe('whether the database is as wanted', () => {
  const record = {
    id: 'acme',
    owner: 'banks/acme',
    displayName: 'Acme',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    role: 'bank_acme_a',
    credentialDigest: 'd',
  };
  const state = {
    owner: 'banks/acme',
    displayName: 'Acme',
    type: 'business',
    vaults: [{ id: 'sales', displayName: 'Sales' }],
    roles: [{ role: 'bank_acme_a', credentialDigest: 'd' }],
    keyGenerations: [1],
    retainedAt: null,
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
    { sentence: 'rows were kept from before', change: { retainedAt: '2026-01-01' }, expected: false },
  ])('$sentence: $expected', ({ change, expected }) => {
    expect(isAsWanted({ ...state, ...change }, record)).toBe(expected);
  });

  test('there is nothing yet', () => {
    expect(isAsWanted(undefined, record)).toBe(false);
  });
});
