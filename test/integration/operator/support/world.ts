import { type BankClass, createLogger } from '@bankhouse/core';
import { systemClock, type Transport } from '@bankhouse/kube';
import { createOperator, type Database, type FrontDoor, type Operator, type Settings } from '@bankhouse/operator';
import { afterAll, beforeAll, expect } from 'vitest';
import { type ApiServer, startApiServer } from '../../../harness/apiserver.ts';
import { Cluster, classPath } from './cluster.ts';
import { eventually } from './eventually.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { settings } from './settings.ts';
import { MemoryDatabase, SwitchedFrontDoor } from './stand-ins.ts';
import { Written } from './written.ts';

/** What a world has in place of the usual. */
export interface Given {
  /** A real one, in place of the one in memory. */
  database?: Database;
  frontDoor?: FrontDoor;
  settings?: Settings;
  /** Signs the operator in, in place of an admin. */
  transport?: Transport;
  /** That the operator keeps to. */
  namespaces?: readonly string[];
  /** Of the default class. */
  classSpec?: Record<string, unknown>;
}

/**
 * A world for the tests of a file: gone after them.
 *
 * @param prepare runs when the API server is there, and before the operator is
 */
export function useWorld(prepare: (world: World) => Given | Promise<Given> = () => ({})): World {
  const world = new World();
  beforeAll(() => world.start(prepare));
  afterAll(() => world.close());
  return world;
}

/** An API server with an operator at work and a default class "standard"; database and front door are stand-ins unless given. */
export class World extends Cluster {
  api!: ApiServer;
  operator!: Operator;
  collector!: GarbageCollector;
  readonly database = new MemoryDatabase();
  readonly frontDoor = new SwitchedFrontDoor();
  /** By every operator of this world. */
  readonly written = new Written();
  private given: Given = {};
  private readonly stops: (() => Promise<unknown>)[] = [];

  get transport(): Transport {
    return this.api.transport;
  }

  async start(prepare: (world: World) => Given | Promise<Given>): Promise<void> {
    this.api = await startApiServer();
    this.collector = new GarbageCollector(this.transport);
    await this.collector.start();
    this.given = await prepare(this);
    this.operator = await this.startOperator();
    await this.createClass('standard', { ...this.given.classSpec }, { isDefault: true });
  }

  /** Ends when the operator has judged the class: of a Bank that is made later it may hear sooner. */
  override async createClass(
    name: string,
    spec: Record<string, unknown>,
    mark: { isDefault?: boolean } = {},
  ): Promise<void> {
    await super.createClass(name, spec, mark);
    // An operator of some namespaces only reads classes.
    if ((this.given.namespaces ?? []).length > 0) return;
    await eventually(async () => {
      const { status } = await this.get<BankClass>(classPath(name));
      expect(status?.conditions?.map(({ type }) => type)).toEqual(['Accepted']);
    });
  }

  /** Stops the operator and starts another one, as after a crash; `transport` and `database` may have faults put in. */
  async restart(faulty: { transport?: Transport; database?: Database; settings?: Settings } = {}): Promise<void> {
    await this.operator.stop();
    this.operator = await this.startOperator(faulty);
  }

  /** Makes a change that has the bank asked anew, and ends when the operator has heard of it and is idle. */
  async settled(id: string, change: () => Promise<void>): Promise<void> {
    const before = this.frontDoor.handshakes.length;
    await change();
    await eventually(() => {
      expect(this.frontDoor.handshakes.slice(before)).toContain(id);
      expect(this.operator.isIdle).toBe(true);
    });
  }

  /** Stops something after the operator and before the API server; what came last goes first. */
  onClose(stop: () => Promise<unknown>): void {
    this.stops.push(stop);
  }

  async close(): Promise<void> {
    await this.operator?.stop();
    for (const stop of this.stops.reverse()) await stop();
    await this.collector?.stop();
    await this.api?.stop();
  }

  /** Another operator that watches and does not work. */
  async standBy(faulty: { transport?: Transport } = {}): Promise<Operator> {
    const operator = this.createOperator(faulty);
    await operator.watch();
    return operator;
  }

  /** The operator stops, and the one that stood by goes on. */
  async takeOver(standby: Operator): Promise<void> {
    await this.operator.stop();
    this.operator = standby;
    await standby.start();
  }

  private async startOperator(faulty: Parameters<World['createOperator']>[0] = {}): Promise<Operator> {
    const operator = this.createOperator(faulty);
    await operator.start();
    return operator;
  }

  private createOperator(faulty: { transport?: Transport; database?: Database; settings?: Settings }): Operator {
    const { given } = this;
    return createOperator({
      transport: this.written.through(faulty.transport ?? given.transport ?? this.transport),
      database: faulty.database ?? given.database ?? this.database,
      frontDoor: given.frontDoor ?? this.frontDoor,
      settings: faulty.settings ?? given.settings ?? settings,
      namespaces: given.namespaces ?? [],
      clock: systemClock,
      logger: createLogger({ component: 'operator', level: process.env.TEST_LOG_LEVEL ?? 'fatal' }),
      workers: 8,
      verifyEvery: 600_000,
      instance: 'test',
    });
  }
}
