/** D10: a person is an issuer and a subject. */
import { describe, expect, it } from 'vitest';
import { ENTITIES } from '../src/entities/index.ts';
import { meantSubject, shownSubject, storedSubject } from '../src/subjects.ts';
import { filtersOf } from '../src/toolsets/workspace/filters.ts';
import { toEntry } from '../src/toolsets/workspace/rows.ts';

const ISSUER = 'https://a.test';

describe('a subject', () => {
  it.each<[string, string, string]>([
    ['of the own issuer is shown alone', `${ISSUER} ann`, 'ann'],
    ['of another issuer is shown whole', 'https://b.test ann', 'https://b.test ann'],
    ['of an issuer whose name begins the same is shown whole', `${ISSUER}.evil ann`, `${ISSUER}.evil ann`],
    ['without an issuer is shown as it is', 'loader', 'loader'],
    ['with a blank loses its issuer alone', `${ISSUER} ann lee`, 'ann lee'],
  ])('%s', (_sentence, stored, shown) => {
    expect(shownSubject(stored, ISSUER)).toBe(shown);
  });

  it.each<[string, string, string]>([
    ['alone means the own issuer', 'ann', `${ISSUER} ann`],
    ['with its issuer means that one', 'https://b.test ann', 'https://b.test ann'],
  ])('%s', (_sentence, given, meant) => {
    expect(meantSubject(given, ISSUER)).toBe(meant);
  });

  it('that is shown alone means the same when it comes back', () => {
    const stored = storedSubject({ iss: ISSUER, sub: 'ann' });
    expect(meantSubject(shownSubject(stored, ISSUER), ISSUER)).toBe(stored);
  });

  it.each(ENTITIES)('of a $name is shown and filtered by in the same way', (definition) => {
    const row = { createdBy: `${ISSUER} ann`, updatedBy: 'https://b.test ann' };
    expect(toEntry(definition, row, ISSUER)).toEqual({ createdBy: 'ann', updatedBy: 'https://b.test ann' });
    const filter = filtersOf(definition).find(({ name }) => name === 'createdBy');
    expect(filter?.condition('ann', ISSUER)).toEqual({ field: 'createdBy', op: 'ieq', value: `${ISSUER} ann` });
  });
});
