import { SCOPES } from '@bankhouse/core';
import { SIGNING_ALGORITHM } from './signer.ts';

/**
 * Authorization server metadata (RFC 8414 section 2): what is there and nothing more. There is no authorization or token
 * endpoint yet: tokens come from POST /v1/tokens.
 */
export function authorizationServerMetadata(frontDoor: string) {
  return {
    issuer: frontDoor,
    jwks_uri: `${frontDoor}/oauth/jwks`,
    scopes_supported: [...SCOPES],
    response_types_supported: [],
    grant_types_supported: [],
    token_endpoint_auth_methods_supported: [],
    service_documentation: `${frontDoor}/v1/openapi.json`,
  };
}

/** OpenID Provider metadata (OpenID Connect Discovery 1.0 section 3), for verifiers that look for keys only there. */
export function openIdConfiguration(frontDoor: string) {
  return {
    ...authorizationServerMetadata(frontDoor),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [SIGNING_ALGORITHM],
  };
}
