import type { BankCredentials, BankRecord, BankState, Database, FrontDoor } from '@bankhouse/operator';

/** Stands for Postgres where a test is about the cluster: same idempotence, and it can be taken away. */
export class MemoryDatabase implements Database {
  readonly banks = new Map<string, BankState & { keys: Readonly<Record<string, string>> }>();
  writes = 0;
  failure: Error | undefined;

  async state(id: string): Promise<BankState | undefined> {
    if (this.failure !== undefined) throw this.failure;
    return this.banks.get(id);
  }

  async ensure(record: BankRecord, credentials: BankCredentials): Promise<'created' | 'configured'> {
    if (this.failure !== undefined) throw this.failure;
    this.writes += 1;
    await credentials.verifier();
    const known = this.banks.has(record.id);
    this.banks.set(record.id, {
      owner: record.owner,
      displayName: record.displayName,
      type: record.type,
      vaults: [...record.vaults],
      roles: [{ role: record.role, credentialDigest: record.credentialDigest }],
      keyGenerations: Object.keys(credentials.keys).map(Number),
      retainedAt: null,
      keys: credentials.keys,
    });
    return known ? 'configured' : 'created';
  }

  async delete(id: string, owner: string, deleteRows: boolean): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.writes += 1;
    const bank = this.banks.get(id);
    if (bank === undefined || bank.owner !== owner) return;
    if (deleteRows) this.banks.delete(id);
    else this.banks.set(id, { ...bank, roles: [], retainedAt: new Date().toISOString() });
  }

  async close(): Promise<void> {}
}

/** Stands for gateway and bank server: every bank answers, or none. */
export class SwitchedFrontDoor implements FrontDoor {
  answers = true;
  /** Ids of the banks, in order. */
  readonly handshakes: string[] = [];
  async checkRoute(): Promise<void> {
    if (!this.answers) throw new Error('connect ECONNREFUSED');
  }
  async checkHandshake(id: string): Promise<void> {
    this.handshakes.push(id);
  }
  forget(): void {}
  async close(): Promise<void> {}
}
