import { type BankStatus, PROVEN_IMAGES_MAX } from '@bankhouse/core';

/** The images of a bank that have proven themselves (G9), the newest first, with what the last handshake told: who did so once can always. */
export function provenWith(
  before: readonly string[] = [],
  image: string | undefined,
): Pick<BankStatus, 'provenImages'> {
  if (image === undefined || before.includes(image)) return {};
  return { provenImages: [image, ...before].slice(0, PROVEN_IMAGES_MAX) };
}
