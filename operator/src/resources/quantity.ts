const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti'];

/**
 * A quantity as the API server writes it back (resource.Quantity's canonical form: no fraction, the largest suffix), so that
 * what we want can be compared with what is there. Takes the forms that our schema lets through.
 */
export function canonicalQuantity(quantity: string): string {
  const match = /^([0-9]+)(?:\.([0-9]+))?(m|k|Ki|M|Mi|G|Gi)?$/.exec(quantity);
  if (match === null) return quantity;
  const [, whole = '0', fraction = '', suffix = ''] = match;
  return suffix.endsWith('i')
    ? binary(`${whole}.${fraction || '0'}`, suffix, quantity)
    : decimal(whole, fraction, suffix);
}

/** In thousandths, exactly, then the largest of m, none, k, M, G that leaves a whole number. */
function decimal(whole: string, fraction: string, suffix: string): string {
  const power = { m: 0, '': 3, k: 6, M: 9, G: 12 }[suffix] ?? 3;
  const padded = `${fraction}${'0'.repeat(power)}`.slice(0, Math.max(power, 0));
  let amount = BigInt(whole + padded);
  if (/[1-9]/.test(fraction.slice(power))) amount += 1n;
  if (amount === 0n) return '0';
  const suffixes = ['m', '', 'k', 'M', 'G', 'T'];
  let index = 0;
  while (amount % 1000n === 0n && index < suffixes.length - 1) {
    amount /= 1000n;
    index += 1;
  }
  return `${amount}${suffixes[index]}`;
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
