import type { Assertion } from '@bankhouse/core';

/**
 * Who did something, in the database: `<issuer> <sub>`, since two issuers may give the same `sub` to two people. Tools show a
 * subject of the caller's own issuer by its `sub` alone, and take it so.
 */
export function storedSubject({ iss, sub }: Pick<Assertion, 'iss' | 'sub'>): string {
  return `${prefixOf(iss)}${sub}`;
}

/** What a tool shows to a caller of this issuer. */
export function shownSubject(stored: string, issuer: string): string {
  const own = prefixOf(issuer);
  return stored.startsWith(own) ? stored.slice(own.length) : stored;
}

/** What a caller of this issuer means by a subject: one with a blank is meant whole, with its issuer. */
export function meantSubject(given: string, issuer: string): string {
  return given.includes(' ') ? given : `${prefixOf(issuer)}${given}`;
}

function prefixOf(issuer: string): string {
  return `${issuer} `;
}
