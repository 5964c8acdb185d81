import {
  BUILT_IN_CATALOGUE,
  CATALOGUE_DIGEST_LENGTH,
  type Catalogue,
  type KnownCatalogue,
  type Logger,
  messageOf,
} from '@bankhouse/core';
import type { BankRoute } from '../routing/routing-table.ts';
import type { Upstream } from '../upstream/upstreams.ts';
import { type FetchCatalogue, NobodyThereError } from './fetch.ts';

/** Of all catalogues together; what they take in memory is about three times what they are as JSON. */
const BUDGET_BYTES = 32 * 1024 * 1024;
const MEMORY_PER_BYTE = 3;
const MAX_ASKED_AT_ONCE = 32;
/** Between two questions to one bank, doubled by each, and again the first when there was none for so long. */
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 60_000;
const QUIET_MS = 300_000;

/** What is known of a bank in one life of its id. */
interface Known {
  readonly incarnation: string;
  /** Of the catalogue that counts: what a pod said last. */
  digest: string | undefined;
  asking: Promise<void> | undefined;
  askedAt: number;
  pauseMs: number;
}

interface Held {
  readonly catalogue: Catalogue;
  readonly bytes: number;
  /** The later, the higher. */
  usedAt: number;
}

/**
 * The catalogues of banks as they are now (ADR 37). Every proven answer of a pod says the digest of its catalogue, so that a change costs one
 * question and no change costs none; banks with the same catalogue share it.
 *
 * | of a bank                                             | counts                                                      |
 * |-------------------------------------------------------|-------------------------------------------------------------|
 * | no pod has said a digest, or none can                 | the built-in catalogue                                      |
 * | a pod says one that is held, of whichever bank        | that, from now on                                           |
 * | a pod says one that is not held                       | what did before, until that pod was asked and has proven it |
 * | the question fails, or was asked just before          | what did before                                             |
 * | the catalogue had to make room for others             | the built-in one, until a pod says a digest again           |
 * | asleep                                                | what did before                                             |
 * | its id passes to another incarnation                  | the built-in catalogue                                      |
 *
 * Two pods that differ, as in a rollout, take turns in what counts and cost no question, since both are held; a call is sealed by the catalogue of the
 * pod that it goes to.
 */
export class Catalogues {
  private readonly fetch: FetchCatalogue;
  private readonly isCurrent: (route: BankRoute) => boolean;
  private readonly logger: Logger;
  private readonly onAsked: (outcome: 'taken' | 'failed') => void;
  private readonly now: () => number;
  private readonly budget: number;
  private readonly banks = new Map<string, Known>();
  /** By digest. */
  private readonly held = new Map<string, Held>();
  private bytes = 0;
  private asked = 0;
  private uses = 0;

  /**
   * @param options.isCurrent whether the bank still has the incarnation that the route has
   * @param options.onAsked told of every question, once it is answered or not
   * @param options.now milliseconds
   * @param options.budget bytes
   */
  constructor(options: {
    fetch: FetchCatalogue;
    isCurrent: (route: BankRoute) => boolean;
    logger: Logger;
    onAsked?: (outcome: 'taken' | 'failed') => void;
    now?: () => number;
    budget?: number;
  }) {
    this.fetch = options.fetch;
    this.isCurrent = options.isCurrent;
    this.logger = options.logger;
    this.onAsked = options.onAsked ?? (() => {});
    this.now = options.now ?? (() => performance.now());
    this.budget = options.budget ?? BUDGET_BYTES;
  }

  get size(): number {
    return this.held.size;
  }

  /** Bytes that the catalogues take, about. */
  get used(): number {
    return this.bytes;
  }

  /** By which a bank's calls are judged before it is known which pod they go to. */
  of(bank: string): Catalogue {
    return this.find(this.banks.get(bank)?.digest) ?? BUILT_IN_CATALOGUE;
  }

  /** Of a pod; undefined: not known. */
  at(upstream: Upstream): Catalogue | undefined {
    return this.find(upstream.catalogue);
  }

  /** A pod said so, with its proof. */
  heard(route: BankRoute, upstream: Upstream, digest: string): void {
    if (digest.length !== CATALOGUE_DIGEST_LENGTH) return;
    upstream.catalogue = digest;
    const known = this.banks.get(route.id);
    const isHeld = this.held.has(digest);
    if (isHeld && known?.digest === digest && known.incarnation === route.incarnation) return;
    if (isHeld) this.takeFor(route, digest);
    else void this.ask(route, upstream);
  }

  /** Asks a pod for its catalogue, unless its bank is being asked, or was just before. Resolves when there is no more to wait for; never rejects. */
  ask(route: BankRoute, upstream: Upstream): Promise<void> {
    const known = this.knownOf(route);
    if (known === undefined) return Promise.resolve();
    if (known.asking !== undefined) return known.asking;
    const sinceAsked = this.now() - known.askedAt;
    if (sinceAsked < known.pauseMs || this.asked >= MAX_ASKED_AT_ONCE) return Promise.resolve();
    known.pauseMs = sinceAsked > QUIET_MS ? FIRST_PAUSE_MS : Math.min(2 * known.pauseMs, LAST_PAUSE_MS);
    this.asked += 1;
    known.asking = this.askNow(route, upstream).then((wasThere) => {
      this.asked -= 1;
      known.asking = undefined;
      // Who waits for a pod that starts tries its address again and again, and is not to be told by the built-in catalogue for that.
      if (wasThere) known.askedAt = this.now();
    });
    return known.asking;
  }

  /** That the bank has this incarnation now, or none. @returns whether it had another */
  setIncarnation(bank: string, incarnation: string | undefined): boolean {
    const known = this.banks.get(bank);
    if (known === undefined || known.incarnation === incarnation) return false;
    return this.banks.delete(bank);
  }

  /** @returns whether somebody was there */
  private async askNow(route: BankRoute, upstream: Upstream): Promise<boolean> {
    try {
      const { catalogue, bytes } = await this.fetch(route, upstream);
      this.hold(catalogue, bytes * MEMORY_PER_BYTE);
      upstream.catalogue = catalogue.digest;
      this.takeFor(route, catalogue.digest);
      this.onAsked('taken');
      return true;
    } catch (error) {
      if (error instanceof NobodyThereError) return false;
      this.onAsked('failed');
      const fields = { bank: route.id, address: upstream.address, reason: messageOf(error) };
      this.logger.warn(fields, "a bank's catalogue could not be fetched");
      return true;
    }
  }

  private takeFor(route: BankRoute, digest: string): void {
    const known = this.knownOf(route);
    if (known !== undefined) known.digest = digest;
  }

  /** Undefined for an answer of an incarnation that is over. */
  private knownOf(route: BankRoute): Known | undefined {
    const known = this.banks.get(route.id);
    if (known?.incarnation === route.incarnation) return known;
    if (!this.isCurrent(route)) return undefined;
    const { incarnation } = route;
    const made = {
      incarnation,
      digest: undefined,
      asking: undefined,
      askedAt: Number.NEGATIVE_INFINITY,
      pauseMs: 0,
    };
    this.banks.set(route.id, made);
    return made;
  }

  private find(digest: string | undefined): Catalogue | undefined {
    const held = digest === undefined ? undefined : this.held.get(digest);
    if (held === undefined) return undefined;
    held.usedAt = ++this.uses;
    return held.catalogue;
  }

  /** Makes room by what was not used for longest. */
  private hold(catalogue: KnownCatalogue, bytes: number): void {
    if (this.held.has(catalogue.digest)) return;
    while (this.held.size > 0 && this.bytes + bytes > this.budget) {
      const [oldest] = [...this.held].reduce((a, b) => (b[1].usedAt < a[1].usedAt ? b : a));
      this.bytes -= this.held.get(oldest)?.bytes ?? 0;
      this.held.delete(oldest);
    }
    this.held.set(catalogue.digest, { catalogue, bytes, usedAt: ++this.uses });
    this.bytes += bytes;
  }
}
