import { describe, expect, test } from 'vitest';
import { SCRAM_ITERATIONS_OF_CHANCE, scramVerifier } from '../src/scram.ts';

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

describe('what PostgreSQL stores of a password', () => {
  test('is that of the example in RFC 7677', async () => {
    expect(await scramVerifier('pencil', { salt })).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });

  test('says how often it was hashed, and has a salt of its own each time', async () => {
    const made = () => scramVerifier('pencil', { iterations: SCRAM_ITERATIONS_OF_CHANCE });
    const [one, other] = await Promise.all([made(), made()]);
    expect(one).toMatch(/^SCRAM-SHA-256\$64:/);
    expect(one).not.toBe(other);
  });
});
