import { describe, expect, it } from 'vitest';
import { isRecordingId } from '../src/toolsets/shared/ids.ts';

describe('the id of a call', () => {
  it.each<[string, string, boolean]>([
    ['of the new table', '0b5bd7c4-6a3e-4f5e-8f66-2f4a6a0b8a11', true],
    ['of the old table', 'fathom-12', true],
    ['of the old table with 18 digits', 'fathom-999999999999999999', true],
    ['of the old table with 19 digits, as a bigint can have (D11)', 'fathom-9223372036854775807', true],
    ['with 20 digits', 'fathom-10000000000000000000', false],
    ['that begins with zero', 'fathom-012', false],
    ['without a number', 'fathom-', false],
    ['with a sign', 'fathom--1', false],
    ['in capitals', '0B5BD7C4-6A3E-4F5E-8F66-2F4A6A0B8A11', false],
  ])('%s: %s is one: %s', (_sentence, id, expected) => {
    expect(isRecordingId(id)).toBe(expected);
  });
});
