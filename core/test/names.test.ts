import { expect, it } from 'vitest';
import { databaseRole } from '../src/index.ts';

const UID = '8f14e45f-ceea-467f-a0e6-6f2b3c1d0a11';

it("a bank's login role tells nothing of the bank, and differs by incarnation and form", () => {
  const roles = [
    databaseRole(UID, 'a'),
    databaseRole(UID, 'b'),
    databaseRole('2b0c8f1d-52a1-4c5e-9f7d-0f5f0f4a7c22', 'a'),
  ];
  expect(new Set(roles).size).toBe(3);
  for (const role of roles) expect(role).toMatch(/^bank_[0-9a-f]{24}_[ab]$/);
  expect(databaseRole(UID, 'a')).toBe(roles[0]);
});
