/** A vector as Postgres reads it: `{0.1,0.2}`. Nine digits hold every float4. */
export function toLiteral(vector: Float32Array): string {
  return `{${Array.from(vector, (value) => value.toPrecision(9)).join(',')}}`;
}

export function fromLiteral(literal: string): Float32Array {
  return Float32Array.from(literal.slice(1, -1).split(','), Number);
}

/** Cosine similarity of two vectors of length 1. */
export function similarity(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
