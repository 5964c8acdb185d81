import { type Assertion, deriveSealKey, sealAssertion } from '@bankhouse/core';

const MAX_CACHED = 20_000;

interface SealKeys {
  readonly generation: number;
  readonly pod: Buffer;
  readonly database: Buffer;
}

/** About a caller that came with a token, as all do here: what the token opens must not outlive it. */
export type TokenAssertion = Assertion & { readonly exp: number };

/** Seals assertions for a bank's pod and for the database; the keys of a bank are derived once per generation. */
export class Sealer {
  private readonly root: Uint8Array;
  private readonly keys = new Map<string, SealKeys>();

  constructor(root: Uint8Array) {
    this.root = root;
  }

  seal(assertion: TokenAssertion, generation: number): { pod: string; database: string } {
    const keys = this.keysOf(assertion.bank, generation);
    return {
      pod: sealAssertion(assertion, keys.pod, generation),
      database: sealAssertion(assertion, keys.database, generation),
    };
  }

  private keysOf(bank: string, generation: number): SealKeys {
    const cached = this.keys.get(bank);
    if (cached?.generation === generation) return cached;
    if (this.keys.size >= MAX_CACHED) this.keys.clear();
    const keys = {
      generation,
      pod: deriveSealKey(this.root, 'pod', bank, generation),
      database: deriveSealKey(this.root, 'database', bank, generation),
    };
    this.keys.set(bank, keys);
    return keys;
  }
}
