import { authorizationServerMetadata, openIdConfiguration } from '../issuer/metadata.ts';
import type { App, Services } from './services.ts';

/** Verifiers and proxies may keep these documents for five minutes; a signing key is changed by a restart, not in between. */
const PUBLIC_CACHE = 'public, max-age=300';

/** What a verifier reads: the standards' own forms, not ours. */
export function issuerRoutes(app: App, { signer, frontDoor }: Services): void {
  const documents: Record<string, unknown> = {
    '/oauth/jwks': signer.jwks,
    '/.well-known/oauth-authorization-server': authorizationServerMetadata(frontDoor),
    '/.well-known/openid-configuration': openIdConfiguration(frontDoor),
  };
  for (const [path, document] of Object.entries(documents)) {
    app.get(path, { schema: { hide: true } }, (_request, reply) =>
      // Browser clients read discovery documents from their own origin; nothing here is a secret.
      reply.headers({ 'cache-control': PUBLIC_CACHE, 'access-control-allow-origin': '*' }).send(document),
    );
  }
}
