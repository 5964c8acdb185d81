/** Small seeded random numbers: the same seed gives the same recordings on every machine. */
export interface Random {
  /** From 0 to 1, 1 excluded. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** `count` different items. */
  some<T>(items: readonly T[], count: number): T[];
  chance(probability: number): boolean;
}

/** Chris Doty-Humphrey's sfc32 (PractRand), seeded by a hash of the text. */
export function createRandom(seed: string): Random {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1];
  for (const character of seed) {
    a = Math.imul(a ^ (character.codePointAt(0) ?? 0), 0x85ebca6b);
    b = (b + a) | 0;
    c = (c ^ (b << 7)) | 0;
  }
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4294967296;
  };
  for (let turn = 0; turn < 16; turn++) next();
  const int = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T;
  return {
    next,
    int,
    pick,
    some: (items, count) => {
      const rest = [...items];
      return Array.from(
        { length: Math.min(count, rest.length) },
        () => rest.splice(int(0, rest.length - 1), 1)[0],
      ).filter((item) => item !== undefined);
    },
    chance: (probability) => next() < probability,
  };
}
