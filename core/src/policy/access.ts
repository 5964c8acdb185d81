/** What a request may do with a bank's rows, each with what stands before it: `none` is enough to say what the server is. */
export const ACCESSES = ['none', 'read', 'write'] as const;
export type Access = (typeof ACCESSES)[number];

export function allows(has: Access, needed: Access): boolean {
  return ACCESSES.indexOf(has) >= ACCESSES.indexOf(needed);
}

/** What operations need that come together. */
export function mostAccess(accesses: readonly Access[]): Access {
  return accesses.reduce((most, one) => (allows(most, one) ? most : one), 'none');
}
