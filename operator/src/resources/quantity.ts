import type { Quantity } from '@bankhouse/core';

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti'];
const FORM = /^([0-9]+)(?:\.([0-9]+))?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/;
/** Powers of 1000, from thousandths on. */
const DECIMAL = ['m', '', 'k', 'M', 'G', 'T'];

/**
 * A quantity as the API server writes it back (resource.Quantity's canonical form: no fraction, the largest suffix), so that
 * what we want can be compared with what is there. Takes the forms that our schema lets through, numbers too.
 */
export function canonicalQuantity(given: Quantity): string {
  const quantity = String(given);
  const match = FORM.exec(quantity);
  if (match === null) return quantity;
  const [, whole = '0', fraction = '', suffix = ''] = match;
  return suffix.endsWith('i')
    ? binary(`${whole}.${fraction || '0'}`, suffix, quantity)
    : decimal(whole, fraction, suffix);
}

/** Whether `a` is more than `b`. */
export function exceeds(a: Quantity, b: Quantity): boolean {
  return amountOf(a) > amountOf(b);
}

function amountOf(quantity: Quantity): number {
  const [, whole = '0', fraction = '0', suffix = ''] = FORM.exec(String(quantity)) ?? [];
  const factor = suffix.endsWith('i') ? 1024 ** BINARY.indexOf(suffix) : 1000 ** (DECIMAL.indexOf(suffix) - 1);
  return Number(`${whole}.${fraction}`) * factor;
}

/** In thousandths, exactly, then the largest of m, none, k, M, G, T that leaves a whole number. */
function decimal(whole: string, fraction: string, suffix: string): string {
  const power = 3 * DECIMAL.indexOf(suffix);
  const padded = `${fraction}${'0'.repeat(power)}`.slice(0, Math.max(power, 0));
  let amount = BigInt(whole + padded);
  if (/[1-9]/.test(fraction.slice(power))) amount += 1n;
  if (amount === 0n) return '0';
  let index = 0;
  while (amount % 1000n === 0n && index < DECIMAL.length - 1) {
    amount /= 1000n;
    index += 1;
  }
  return `${amount}${DECIMAL[index]}`;
}

function binary(number: string, suffix: string, original: string): string {
  let index = BINARY.indexOf(suffix);
  let amount = Number(number);
  while (!Number.isInteger(amount) && index > 0) {
    amount *= 1024;
    index -= 1;
  }
  if (!Number.isSafeInteger(amount)) return original;
  if (amount === 0) return '0';
  while (amount % 1024 === 0 && index < BINARY.length - 1) {
    amount /= 1024;
    index += 1;
  }
  return `${amount}${BINARY[index]}`;
}
