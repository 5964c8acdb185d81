import type { App, Services } from './services.ts';

/** Verifiers and proxies may keep it for five minutes; a signing key is changed by a restart, not in between. */
const PUBLIC_CACHE = 'public, max-age=300';

/**
 * The keys that a verifier reads (RFC 7517). There is no metadata of an authorization server (RFC 8414) and no OpenID configuration until there is
 * one: without its endpoints clients throw at the document, and with 404 they look further (P3).
 */
export function issuerRoutes(app: App, { signer }: Services): void {
  app.get('/oauth/jwks', { schema: { hide: true } }, (_request, reply) =>
    // Browser clients read them from their own origin; nothing here is a secret.
    reply.headers({ 'cache-control': PUBLIC_CACHE, 'access-control-allow-origin': '*' }).send(signer.jwks),
  );
}
