import { bankMetadataUrl, bankUrl } from '../bank-id.ts';
import type { Catalogue } from './catalogue.ts';

/** A bank at its own URL. */
export interface BankResource {
  readonly kind: 'bank';
  /** Id of the bank whose server answers. */
  readonly bank: string;
  /** Its URL, which is what tokens for it name in `aud` (RFC 8707). */
  readonly audience: string;
  /** URL of its protected-resource metadata (RFC 9728). */
  readonly metadata: string;
  /** Host of that URL, with the port where it has one. */
  readonly host: string;
  /** By which operations are judged. */
  readonly catalogue: Catalogue;
}

/** What a client talks to and a token is good for: told apart by `kind`, so that there can be others than a bank. */
export type Resource = BankResource;

/**
 * The banks behind a front door, as resources.
 *
 * @param frontDoor an origin
 * @param catalogueOf a bank as far as is known now
 */
export function bankResourcesAt(
  frontDoor: string,
  catalogueOf: (bank: string) => Catalogue,
): (bank: string) => BankResource {
  const { host } = new URL(frontDoor);
  return (bank) => ({
    kind: 'bank',
    bank,
    audience: bankUrl(frontDoor, bank),
    metadata: bankMetadataUrl(frontDoor, bank),
    host,
    catalogue: catalogueOf(bank),
  });
}
