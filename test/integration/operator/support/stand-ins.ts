import {
  type BankCredentials,
  type BankRecord,
  type BankState,
  type Claimed,
  type Database,
  DatabaseError,
  type Erased,
  type FrontDoor,
  type IdClaim,
} from '@bankhouse/operator';

/** An id as the registry has it. */
interface Given {
  claim: IdClaim;
  /** None while its Bank lives. */
  retained?: { eraseAfter: Date | undefined };
}

/** Stands for Postgres where a test is about the cluster: same idempotence, and it can be taken away. */
export class MemoryDatabase implements Database {
  readonly banks = new Map<string, BankState & { keys: Readonly<Record<string, string>> }>();
  readonly ids = new Map<string, Given>();
  readonly receipts: { id: string; receipt: Erased }[] = [];
  writes = 0;
  /** Calls by name, checks included. */
  readonly calls: Record<string, number> = {};
  failure: Error | undefined;
  /** Passwords that were set because they had to be. */
  readonly forced: string[] = [];
  /** What an erasure waits for. */
  beforeErasing: (id: string, signal: AbortSignal) => Promise<void> = async () => {};

  async claim(claim: IdClaim): Promise<Claimed> {
    this.called('claim');
    const given = this.ids.get(claim.id);
    if (given === undefined) {
      this.writes += 1;
      this.ids.set(claim.id, { claim });
      return { outcome: 'claimed', placement: claim.placement };
    }
    const { placement } = given.claim;
    if (given.retained === undefined && given.claim.uid === claim.uid) {
      this.ids.set(claim.id, { claim: { ...claim, placement } });
      return { outcome: 'held', placement };
    }
    const { owner, namespaceUid } = given.claim;
    if (given.retained === undefined || owner !== claim.owner || namespaceUid !== claim.namespaceUid) {
      throw new DatabaseError('id_taken', 'The id is taken.');
    }
    this.writes += 1;
    this.ids.set(claim.id, { claim: { ...claim, placement } });
    return { outcome: 'returned', placement };
  }

  async lift(id: string): Promise<void> {
    this.called('lift');
    const bank = this.banks.get(id);
    if (bank === undefined) return;
    this.banks.set(id, {
      ...bank,
      roles: bank.roles.map((role) => ({ ...role, quarantinedAt: null, quarantinedFor: null })),
    });
  }

  async release(id: string, uid: string, eraseAfter: Date | undefined): Promise<void> {
    this.called('release');
    const given = this.ids.get(id);
    if (given?.claim.uid !== uid) return;
    this.writes += 1;
    this.ids.set(id, { ...given, retained: { eraseAfter } });
  }

  async due(now: Date, limit: number): Promise<{ id: string; uid: string; placement: string }[]> {
    this.called('due');
    return [...this.ids.values()]
      .filter(({ retained }) => retained?.eraseAfter !== undefined && retained.eraseAfter <= now)
      .slice(0, limit)
      .map(({ claim: { id, uid, placement } }) => ({ id, uid, placement }));
  }

  async placement(id: string, uid: string): Promise<string | undefined> {
    this.called('placement');
    const claim = this.ids.get(id)?.claim;
    return claim?.uid === uid ? claim.placement : undefined;
  }

  /** Nothing moves where there is one database. */
  async movesUnderWay(): Promise<[]> {
    return [];
  }

  async moveOf(): Promise<undefined> {
    return undefined;
  }

  beginMove(): Promise<never> {
    return this.wantDatabase();
  }

  async wantTarget(): Promise<undefined> {
    return undefined;
  }

  async switchPlacement(): Promise<boolean> {
    return false;
  }

  async callOffMove(): Promise<boolean> {
    return false;
  }

  async finishMove(): Promise<void> {}

  urlOf(): never {
    throw new DatabaseError('database_failed', 'There is one database here.');
  }

  /** Databases of banks' own are for tests with a real Postgres. */
  async wantDatabase(): Promise<never> {
    throw new DatabaseError('database_failed', 'There is one database here.');
  }

  async dropDatabase(): Promise<undefined> {
    return undefined;
  }

  at(): never {
    throw new DatabaseError('database_failed', 'There is one database here.');
  }

  on(): undefined {
    return undefined;
  }

  async letIn(): Promise<void> {}

  async forget(id: string, uid: string, receipt: Erased): Promise<void> {
    this.called('forget');
    if (this.ids.get(id)?.claim.uid !== uid) return;
    this.writes += 1;
    this.ids.delete(id);
    this.receipts.push({ id, receipt });
  }

  async state(id: string): Promise<BankState | undefined> {
    this.called('state');
    return this.banks.get(id);
  }

  async ensure(
    record: BankRecord,
    credentials: BankCredentials,
    { force }: { force: boolean },
  ): Promise<'created' | 'configured'> {
    this.called('ensure');
    this.writes += 1;
    await credentials.verifier();
    if (force) this.forced.push(record.id);
    const known = this.banks.has(record.id);
    this.banks.set(record.id, {
      uid: record.uid,
      displayName: record.displayName,
      type: record.type,
      vaults: [...record.vaults],
      roles: [{ role: record.role, credentialDigest: record.credentialDigest }],
      keyGenerations: Object.keys(credentials.keys).map(Number),
      retired: false,
      keys: credentials.keys,
    });
    return known ? 'configured' : 'created';
  }

  async retire(id: string, uid: string): Promise<void> {
    this.called('retire');
    const bank = this.banks.get(id);
    if (bank?.uid !== uid) return;
    this.writes += 1;
    this.banks.set(id, { ...bank, roles: [], keyGenerations: [], keys: {}, retired: true });
  }

  async erase(id: string, uid: string, signal: AbortSignal): Promise<Erased> {
    this.called('erase');
    await this.beforeErasing(id, signal);
    if (this.banks.get(id)?.uid === uid) this.banks.delete(id);
    this.writes += 1;
    return { rowsDeleted: 1, tables: { banks: { rows: 1, keys: 1 } } };
  }

  async check(): Promise<void> {
    this.called('check');
  }

  async close(): Promise<void> {}

  private called(name: string): void {
    this.calls[name] = (this.calls[name] ?? 0) + 1;
    if (this.failure !== undefined) throw this.failure;
  }
}

/** Stands for gateway and bank server: every bank answers, or none. */
export class SwitchedFrontDoor implements FrontDoor {
  answers = true;
  /** Ids of the banks, in order. */
  readonly handshakes: string[] = [];
  async checkRoute(): Promise<void> {
    if (!this.answers) throw new Error('connect ECONNREFUSED');
  }
  async checkHandshake(id: string): Promise<string | undefined> {
    this.handshakes.push(id);
    return undefined;
  }
  forget(): void {}
  async close(): Promise<void> {}
}
