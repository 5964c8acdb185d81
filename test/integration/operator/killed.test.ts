import { createHash } from 'node:crypto';
import { databaseRole } from '@bankhouse/core';
import type { Transport } from '@bankhouse/kube';
import type { Database } from '@bankhouse/operator';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually, pathsOf, useWorld } from './support/index.ts';

/** Writes outside of the process that one creation makes: seven to the API server, two to the database. */
const CREATION_WRITES = 9;
/** Two children and the policy, the status, the database four times, the finalizer. */
const DELETION_WRITES = 9;

const world = useWorld();

/**
 * A process that is killed at its n-th outside write: `before` it was sent, or `after` it took effect but before the process
 * heard of it. From then on nothing of it reaches anything.
 */
class Death {
  isDead = false;
  private writes = 0;
  private readonly at: number;
  private readonly when: 'before' | 'after';

  constructor(at: number, when: 'before' | 'after') {
    this.at = at;
    this.when = when;
  }

  transport(real: Transport): Transport {
    return {
      request: (method, path, options) => {
        const send = () => real.request<never>(method, path, options);
        const counts = method !== 'GET' && !path.includes('/bankclasses/');
        return counts ? this.write(send) : this.read(send);
      },
      stream: (path, options) => this.read(() => real.stream(path, options)),
      separate: () => real.separate(),
      close: async () => {},
    };
  }

  database(real: Database): Database {
    return {
      state: (id) => this.read(() => real.state(id)),
      due: (now, limit) => this.read(() => real.due(now, limit)),
      placement: (id, uid) => this.read(() => real.placement(id, uid)),
      check: () => this.read(() => real.check()),
      wantDatabase: (id, uid) => this.write(() => real.wantDatabase(id, uid)),
      dropDatabase: (id, uid, receipt) => this.write(() => real.dropDatabase(id, uid, receipt)),
      movesUnderWay: () => this.read(() => real.movesUnderWay()),
      moveOf: (id, uid) => this.read(() => real.moveOf(id, uid)),
      beginMove: (bank, target, move) => this.write(() => real.beginMove(bank, target, move)),
      wantTarget: (id, uid) => this.write(() => real.wantTarget(id, uid)),
      switchPlacement: (id, uid, move) => this.write(() => real.switchPlacement(id, uid, move)),
      callOffMove: (id, uid) => this.write(() => real.callOffMove(id, uid)),
      finishMove: (id, uid) => this.write(() => real.finishMove(id, uid)),
      urlOf: (name) => real.urlOf(name),
      at: (name) => real.at(name),
      on: (server) => real.on(server),
      letIn: (role) => this.write(() => real.letIn(role)),
      claim: (claim) => this.write(() => real.claim(claim)),
      ensure: (record, credentials, options) => this.write(() => real.ensure(record, credentials, options)),
      retire: (id, uid) => this.write(() => real.retire(id, uid)),
      lift: (id) => this.write(() => real.lift(id)),
      release: (id, uid, eraseAfter) => this.write(() => real.release(id, uid, eraseAfter)),
      erase: (id, uid, signal) => this.write(() => real.erase(id, uid, signal)),
      forget: (id, uid, receipt) => this.write(() => real.forget(id, uid, receipt)),
      close: async () => {},
    };
  }

  private async read<T>(send: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Error('killed');
    return send();
  }

  private async write<T>(send: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Error('killed');
    this.writes += 1;
    if (this.writes !== this.at) return send();
    this.isDead = true;
    if (this.when === 'after') await send();
    throw new Error('killed');
  }
}

/** Everything that a bank leaves in the cluster and the database, without what differs from one bank to the next. */
async function endState(id: string): Promise<unknown> {
  const paths = pathsOf(id);
  const objects = await Promise.all(
    [
      `${paths.banks}/${id}`,
      `${paths.secrets}/bank-${id}`,
      `${paths.networkPolicies}/bankclass.standard`,
      `${paths.deployments}/bank-${id}`,
    ].map((path) => world.get<Record<string, unknown>>(path)),
  );
  const secret = objects[1] as { data: Record<string, string> };
  const url = Buffer.from(secret.data['database-url'] ?? '', 'base64').toString();
  const digest = createHash('sha256').update(url).digest('hex').slice(0, 32);
  const { roles: _, keys: __, ...record } = world.database.banks.get(id) ?? { roles: [], keys: {} };
  const text = JSON.stringify({ objects, record }, (name, value: unknown) =>
    ['uid', 'resourceVersion', 'creationTimestamp', 'managedFields', 'lastTransitionTime', 'data'].includes(name)
      ? undefined
      : value,
  );
  const uid = (objects[0] as { metadata: { uid: string } }).metadata.uid;
  const common = text.replaceAll(databaseRole(uid, 'a'), '<role>').replaceAll(uid, '<uid>');
  return JSON.parse(common.replaceAll(digest, '<digest>').replaceAll(id, '<id>'));
}

describe('an operator that is killed and started again reaches the same end', () => {
  let wanted: unknown;
  beforeAll(async () => {
    await world.createNamespace('unharmed');
    await world.createBank('unharmed', 'unharmed', { vaults: [{ id: 'sales' }] });
    await world.bringUp('unharmed', 'unharmed');
    wanted = await endState('unharmed');
  });

  const points = (count: number) =>
    Array.from({ length: count }, (_, index) => [
      { at: index + 1, when: 'before' as const },
      { at: index + 1, when: 'after' as const },
    ]).flat();

  test.each(points(CREATION_WRITES))('killed $when write $at of a creation', async ({ at, when }) => {
    const id = `c${at}-${when}`;
    const death = new Death(at, when);
    await world.restart({ transport: death.transport(world.transport), database: death.database(world.database) });
    await world.createNamespace(id);
    await world.createBank(id, id, { vaults: [{ id: 'sales' }] });
    await eventually(async () => {
      if (death.isDead) return;
      if ((await world.find(`${pathsOf(id).deployments}/bank-${id}`)) !== undefined) {
        await world.setPods(id, id, { replicas: 1, ready: 1 });
      }
      throw new Error('not killed yet');
    });
    await world.restart();
    await world.bringUp(id, id);
    expect(await endState(id)).toEqual(wanted);
  });

  test.each(points(DELETION_WRITES))('killed $when write $at of a deletion', async ({ at, when }) => {
    const id = `d${at}-${when}`;
    await world.createNamespace(id);
    await world.createBank(id, id, { deleteAfter: '0s' });
    await world.bringUp(id, id);
    await eventually(() => expect(world.operator.isIdle).toBe(true));
    const death = new Death(at, when);
    await world.restart({ transport: death.transport(world.transport), database: death.database(world.database) });
    const paths = pathsOf(id);
    await world.delete(`${paths.banks}/${id}`);
    await eventually(() => expect(death.isDead).toBe(true));
    await world.restart();
    await eventually(async () => expect(await world.find(`${paths.banks}/${id}`)).toBeUndefined());
    await eventually(async () => {
      for (const path of [paths.deployments, paths.secrets, paths.networkPolicies]) {
        expect(await world.get(path)).toMatchObject({ items: [] });
      }
    });
    await eventually(() => expect(world.database.ids.has(id)).toBe(false));
    expect(world.database.banks.has(id)).toBe(false);
  });
});
