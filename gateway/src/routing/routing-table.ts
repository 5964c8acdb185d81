/** An address of a bank's pod. */
export interface Endpoint {
  /** `ip:port` or `[ip]:port`. */
  readonly address: string;
  /** The pod is Ready. Others may be tried too: a pod that just starts answers before it is known to be ready. */
  readonly isServing: boolean;
  /** Image that the pod runs, by its digest, as the kubelet says; undefined: not known. */
  readonly image?: string | undefined;
  /** That image is known to prove whose pod it is: an answer without a proof is another's (G9). */
  readonly mustProve: boolean;
}

/** What the gateway needs to know of a bank. */
export interface BankRoute {
  readonly id: string;
  readonly namespace: string;
  /** metadata.uid of the Bank that was accepted under this id; the seal keys are bound to it. */
  readonly incarnation: string;
  readonly isSuspended: boolean;
  /** Of the seal keys. */
  readonly keyGeneration: number;
  readonly endpoints: readonly Endpoint[];
}

/** Which banks there are and where their pods answer. */
export interface RoutingTable {
  /** undefined: no such bank, as far as anybody outside may know. */
  lookup(id: string): BankRoute | undefined;
  /** Resolves when the bank's route changes, or when the signal aborts; never rejects. */
  changed(id: string, signal: AbortSignal): Promise<void>;
}
