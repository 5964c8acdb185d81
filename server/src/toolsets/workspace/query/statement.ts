/** Values of a statement that is being written. The text holds `$n::type` for each, and never the value. */
export class Parameters {
  readonly values: unknown[] = [];

  /** @param type SQL type, of ours alone */
  add(value: unknown, type: SqlType): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

export type SqlType =
  | 'text'
  | 'text[]'
  | 'boolean'
  | 'int4'
  | 'int4[]'
  | 'float8'
  | 'float8[]'
  | 'timestamptz'
  | 'timestamptz[]'
  | 'uuid'
  | 'uuid[]';
