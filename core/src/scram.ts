import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
/** PostgreSQL's own default (`scram_iterations`), and the least that RFC 7677 asks for: people's passwords can be guessed. */
const ITERATIONS = 4096;
/** For a password that is at least 128 bits of chance, which nobody guesses however cheap a guess is (ADR 38). */
export const SCRAM_ITERATIONS_OF_CHANCE = 64;
const SALT_BYTES = 16;

/**
 * What PostgreSQL stores of a password, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803, RFC 5802
 * section 3), so that the password itself is never sent or logged.
 *
 * @param password ASCII, as ours are: SASLprep (RFC 4013) leaves it as it is
 */
export async function scramVerifier(
  password: string,
  { iterations = ITERATIONS, salt = randomBytes(SALT_BYTES) }: { iterations?: number; salt?: Buffer } = {},
): Promise<string> {
  const salted = await derive(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
