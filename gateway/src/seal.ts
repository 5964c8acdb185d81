import { type Access, type Assertion, deriveSealKey, sealAssertion } from '@bankhouse/core';
import type { BankRoute } from './routing/routing-table.ts';

const MAX_CACHED = 20_000;

interface SealKeys {
  readonly incarnation: string;
  readonly generation: number;
  readonly pod: Buffer;
  readonly database: Buffer;
}

/** About a caller that came with a token, as all do here: what the token opens must not outlive it, and is no more than the request needs. */
export type TokenAssertion = Assertion & { readonly exp: number; readonly access: Access };

/** Seals assertions for a bank's pod and for the database; the keys of a bank are derived once per incarnation and generation. */
export class Sealer {
  private readonly root: Uint8Array;
  private readonly keys = new Map<string, SealKeys>();

  constructor(root: Uint8Array) {
    this.root = root;
  }

  /** @param bound what the keys are bound to: the bank's incarnation, and their generation */
  seal(
    assertion: TokenAssertion,
    bound: Pick<BankRoute, 'incarnation' | 'keyGeneration'>,
  ): { pod: string; database: string } {
    const { incarnation, keyGeneration } = bound;
    const keys = this.keysOf(assertion.bank, incarnation, keyGeneration);
    return {
      pod: sealAssertion(assertion, keys.pod, keyGeneration),
      database: sealAssertion(assertion, keys.database, keyGeneration),
    };
  }

  private keysOf(bank: string, incarnation: string, generation: number): SealKeys {
    const cached = this.keys.get(bank);
    if (cached?.generation === generation && cached.incarnation === incarnation) return cached;
    if (this.keys.size >= MAX_CACHED) this.keys.clear();
    const keys = {
      incarnation,
      generation,
      pod: deriveSealKey(this.root, 'pod', bank, incarnation, generation),
      database: deriveSealKey(this.root, 'database', bank, incarnation, generation),
    };
    this.keys.set(bank, keys);
    return keys;
  }
}
