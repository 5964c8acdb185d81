import {
  type Access,
  type Assertion,
  BankhouseError,
  checkProof,
  deriveSealKey,
  generationUpTo,
  payloadOf,
  type RootKeys,
  sealPayload,
} from '@bankhouse/core';
import type { BankRoute } from './routing/routing-table.ts';

const MAX_CACHED = 20_000;

interface SealKeys {
  readonly incarnation: string;
  readonly pod: Buffer;
  readonly database: Buffer;
}

/** About a caller that came with a token, as all do here: what the token opens must not outlive it, and is no more than the request needs. */
export type TokenAssertion = Assertion & { readonly exp: number; readonly access: Access };

export interface Sealed {
  readonly pod: string;
  readonly database: string;
  /** Of the pod's seal. */
  readonly generation: number;
  /**
   * The newest generation of keys that the pod has, by the proof in its answer; undefined: it proves nothing (G9).
   *
   * @param said the digest of a catalogue that the answer names or is
   */
  check(claimed: string, said?: string): number | undefined;
}

/** The bank is on root keys that this gateway has not been given: a rotation in the wrong order. Answered by 503. */
export class RootKeyUnknownError extends BankhouseError {
  constructor(generation: number) {
    super(
      'root_key_unknown',
      `The gateway has no root key of generation ${generation} or before; it may be just restarting. Try again shortly.`,
    );
    this.name = 'RootKeyUnknownError';
  }
}

/** Seals assertions for a bank's pod and for the database; the keys of a bank are derived once per incarnation and generation. */
export class Sealer {
  private readonly roots: RootKeys;
  private readonly oldest: number;
  /** By bank and generation. */
  private readonly keys = new Map<string, SealKeys>();

  constructor(roots: RootKeys) {
    this.roots = roots;
    this.oldest = Math.min(...roots.keys());
  }

  /**
   * During a rotation of the root key (ADR 30) the database takes both generations, from when the Bank's status says so; a pod takes the new one
   * when its files have it, which it says in its proofs, and the old one until then.
   *
   * @param bound what the keys are bound to: the bank's incarnation, and the newest generation in force
   * @param podGeneration that the pod is known to have; undefined: not known
   * @throws RootKeyUnknownError
   */
  seal(
    assertion: TokenAssertion,
    { incarnation, keyGeneration }: Pick<BankRoute, 'incarnation' | 'keyGeneration'>,
    podGeneration?: number,
  ): Sealed {
    const newest = generationUpTo(this.roots, keyGeneration);
    if (newest === undefined) throw new RootKeyUnknownError(keyGeneration);
    const generation = generationUpTo(this.roots, Math.min(newest, podGeneration ?? this.oldest)) ?? newest;
    const podKey = this.keysOf(assertion.bank, incarnation, generation).pod;
    const payload = payloadOf(assertion);
    const pod = sealPayload(payload, podKey, generation);
    return {
      pod,
      database: sealPayload(payload, this.keysOf(assertion.bank, incarnation, newest).database, newest),
      generation,
      check: (claimed, said) => checkProof(claimed, pod, podKey, said),
    };
  }

  private keysOf(bank: string, incarnation: string, generation: number): SealKeys {
    const name = `${bank} ${generation}`;
    const cached = this.keys.get(name);
    if (cached?.incarnation === incarnation) return cached;
    const root = this.roots.get(generation);
    if (root === undefined) throw new RootKeyUnknownError(generation);
    if (this.keys.size >= MAX_CACHED) this.keys.clear();
    const keys = {
      incarnation,
      pod: deriveSealKey(root, 'pod', bank, incarnation, generation),
      database: deriveSealKey(root, 'database', bank, incarnation, generation),
    };
    this.keys.set(name, keys);
    return keys;
  }
}
