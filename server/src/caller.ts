import type { Assertion } from '@bankhouse/core';

/** Who makes a request: the opened pod assertion, and the sealed one that only the database can open. */
export interface Caller {
  readonly assertion: Assertion;
  /** `<generation>.<payload>.<mac>`, passed on unchanged. */
  readonly databaseAssertion: string;
}
