/** Wrong values: one clear sentence that says which, what is wrong and what to do (R0.4). */
import { describe, expect, it } from 'vitest';
import { GOOD, template } from './helm.ts';

const EXTERNAL = { ...GOOD, 'postgres.enabled': false };

describe('values that are refused', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no front door', {}, /frontDoor\.url is not set: give the public origin/],
    [
      'a front door without scheme',
      { 'frontDoor.url': 'mcp.example.com' },
      /frontDoor\.url is "mcp\.example\.com": it must be an origin/,
    ],
    ['a front door with a path', { 'frontDoor.url': 'https://x/mcp' }, /without path or trailing slash/],
    [
      'a connection address without port',
      { ...GOOD, 'frontDoor.connect': '10.0.0.1' },
      /frontDoor\.connect is "10\.0\.0\.1": it must be HOST:PORT/,
    ],
    ['a CA that is no PEM', { ...GOOD, 'frontDoor.ca': 'ca.pem' }, /frontDoor\.ca is no PEM certificate: .*--set-file/],
    [
      'two CAs',
      { ...GOOD, 'frontDoor.ca': '-----BEGIN CERTIFICATE-----', 'frontDoor.caSecret': 'ca' },
      /both set: keep one/,
    ],
    ['no database', EXTERNAL, /no database: .*set database\.url .* or database\.existingSecret/],
    ['two databases', { ...GOOD, 'database.existingSecret': 'main-app' }, /set postgres\.enabled=false to use yours/],
    [
      'a URL and a Secret',
      { ...EXTERNAL, 'database.url': 'postgres://u:p@h/d', 'database.existingSecret': 's' },
      /both set: keep one/,
    ],
    [
      'a database URL of another kind',
      { ...EXTERNAL, 'database.url': 'mysql://u:p@h/d' },
      /database\.url must have the form postgres:\/\/USER@HOST:PORT\/DATABASE/,
    ],
    [
      'a database URL without database',
      { ...EXTERNAL, 'database.url': 'postgres://u:p@h' },
      /database\.url must have the form/,
    ],
    [
      'a database without password',
      { ...EXTERNAL, 'database.url': 'postgres://u@h/d' },
      /no password: set database\.password/,
    ],
    [
      'an encoded password',
      { ...EXTERNAL, 'database.url': 'postgres://u:a%40b@h/d' },
      /percent-encoded: put it into database\.password/,
    ],
    [
      'a password for nothing',
      { ...GOOD, 'database.password': 'x' },
      /database\.password is set without database\.url/,
    ],
    [
      'two servers of one name',
      { ...GOOD, 'database.servers': [{ name: 'eu' }, { name: 'eu', existingSecret: 'other' }] },
      /database\.servers names "eu" twice: give each server a name of its own/,
    ],
    [
      "a server's parameters with a question mark",
      { ...GOOD, 'database.servers': [{ name: 'eu', parameters: '?sslmode=require' }] },
      /database\.servers has parameters "\?sslmode=require": it must be NAME=VALUE/,
    ],
    [
      "a server's host with a port",
      { ...GOOD, 'database.servers': [{ name: 'eu', host: 'eu:5433' }] },
      /database\.servers has host "eu:5433": it must be a name or an address, without port/,
    ],
    [
      "a server's egress to nowhere",
      { ...GOOD, 'database.servers': [{ name: 'eu', egress: [{ port: 5432 }] }] },
      /egress in database\.servers.* must have either cidr, or namespace and podLabels/,
    ],
    [
      'a server without a name',
      { ...GOOD, 'database.servers': [{ existingSecret: 'eu' }] },
      /database\.servers\.0|servers\/0/,
    ],
    [
      'a server called platform',
      { ...GOOD, 'database.servers': [{ name: 'platform' }] },
      /database\.servers\.0|servers\/0/,
    ],
    [
      'parameters with a question mark',
      { ...GOOD, 'database.parameters': '?sslmode=require' },
      /database\.parameters is .*such as sslmode=verify-full/,
    ],
    [
      'an egress of both kinds',
      { ...GOOD, 'database.egress': [{ cidr: '10.0.0.1/32', namespace: 'db', port: 5432 }] },
      /either cidr, or namespace/,
    ],
    [
      'an egress that is no range',
      { ...GOOD, 'database.egress': [{ cidr: '10.0.0.1', port: 5432 }] },
      /"10\.0\.0\.1": it must be an address range/,
    ],
    [
      'an egress without port',
      { ...GOOD, 'database.egress': [{ cidr: '10.0.0.1/32' }] },
      /'\/database\/egress\/0': missing property 'port'/,
    ],
    [
      'an endpoint for embeddings without model',
      { ...GOOD, 'embeddings.url': 'https://api.example.com/v1' },
      /embeddings\.model is not set: name the model/,
    ],
    [
      'an endpoint for embeddings with its last part',
      { ...GOOD, 'embeddings.url': 'https://api.example.com/v1/embeddings', 'embeddings.model': 'm' },
      /embeddings\.url is "https:\/\/api\.example\.com\/v1\/embeddings": it must be a base URL/,
    ],
    [
      'an endpoint for embeddings that is no URL',
      { ...GOOD, 'embeddings.url': 'api.example.com', 'embeddings.model': 'm' },
      /embeddings\.url is "api\.example\.com": it must be a base URL such as/,
    ],
    [
      'a model for no endpoint',
      { ...GOOD, 'embeddings.model': 'm' },
      /embeddings\.model is set without embeddings\.url/,
    ],
    [
      'a CA for embeddings that is no PEM',
      { ...GOOD, 'embeddings.url': 'https://x/v1', 'embeddings.model': 'm', 'embeddings.ca': 'ca.pem' },
      /embeddings\.ca is no PEM certificate/,
    ],
    [
      'an egress to the endpoint of no form',
      { ...GOOD, 'embeddings.url': 'https://x/v1', 'embeddings.model': 'm', 'embeddings.egress': [{ port: 443 }] },
      /embeddings\.egress .* must have either cidr, or namespace/,
    ],
    [
      'more dimensions than there are',
      { ...GOOD, 'embeddings.dimensions': 9000 },
      /'\/embeddings\/dimensions': maximum/,
    ],
    [
      'an Ingress and an HTTPRoute',
      { ...GOOD, 'httpRoute.enabled': true, 'httpRoute.parentRefs': [{ name: 'g' }] },
      /set ingress\.enabled=false/,
    ],
    [
      'an HTTPRoute of no Gateway',
      { ...GOOD, 'ingress.enabled': false, 'httpRoute.enabled': true },
      /httpRoute\.parentRefs is empty/,
    ],
    [
      'a node port out of range',
      { ...GOOD, 'postgres.nodePort': 5432 },
      /postgres\.nodePort is 5432: .*between 30000 and 32767/,
    ],
    [
      "a node port for the admin's API that is out of range",
      { ...GOOD, 'control.adminApi.nodePort': 8081 },
      /control\.adminApi\.nodePort is 8081: .*between 30000 and 32767/,
    ],
    [
      'a proxy that is a name',
      { ...GOOD, 'control.trustedProxies': ['traefik'] },
      /'\/control\/trustedProxies\/0': 'traefik' does not match pattern/,
    ],
    [
      'a size that is none',
      { ...GOOD, 'postgres.storage.size': '8 gigabytes' },
      /postgres\.storage\.size is .*such as 8Gi/,
    ],
    [
      'memory that is none',
      { ...GOOD, 'gateway.resources.limits.memory': 'lots' },
      /gateway\.resources\.limits\.memory is "lots": .*256Mi/,
    ],
    [
      'a digest that is none',
      { ...GOOD, 'image.platform.digest': 'abc' },
      /image\.platform\.digest is "abc": it must be sha256:/,
    ],
    [
      'an origin with a path',
      { ...GOOD, 'gateway.allowedOrigins': ['https://a/b'] },
      /gateway\.allowedOrigins has "https:\/\/a\/b"/,
    ],
    ['no call at a time', { ...GOOD, 'gateway.limits.callsPerBank': 0 }, /'\/gateway\/limits\/callsPerBank': minimum/],
    [
      'a limit that there is not',
      { ...GOOD, 'gateway.limits.callsPerPod': 1 },
      /'\/gateway\/limits': additional properties 'callsPerPod' not allowed/,
    ],
    [
      'our own issuer as a foreign one',
      { ...GOOD, issuers: [{ issuer: GOOD['frontDoor.url'], jwksUrl: 'https://x/keys', banks: ['a/b'] }] },
      /own issuer: leave it out/,
    ],
    [
      'an issuer without keys',
      { ...GOOD, issuers: [{ issuer: 'https://id.example.com', banks: ['a/b'] }] },
      /'\/issuers\/0': missing property 'jwksUrl'/,
    ],
    [
      'an issuer that is bound to no bank (G1)',
      { ...GOOD, issuers: [{ issuer: 'https://i', jwksUrl: 'https://i/k' }] },
      /'\/issuers\/0': missing property 'banks'/,
    ],
    [
      'an issuer for all namespaces (G1)',
      { ...GOOD, issuers: [{ issuer: 'https://i', jwksUrl: 'https://i/k', banks: ['*/*'] }] },
      /'\/issuers\/0\/banks\/0': '\*\/\*' does not match pattern/,
    ],
    [
      'a symmetric algorithm',
      { ...GOOD, issuers: [{ issuer: 'https://i', jwksUrl: 'https://i/k', banks: ['a/b'], algorithms: ['HS256'] }] },
      /'\/issuers\/0\/algorithms\/0': value must be one of 'ES256'/,
    ],
    [
      'a namespace of no such name',
      { ...GOOD, watchNamespaces: ['Team A'] },
      /'\/watchNamespaces\/0': 'Team A' does not match pattern/,
    ],
    ['a namespace twice', { ...GOOD, watchNamespaces: ['a', 'a'] }, /'\/watchNamespaces': items at 0 and 1 are equal/],
    ['replicas as a word', { ...GOOD, 'gateway.replicas': 'two' }, /'\/gateway\/replicas': got string, want integer/],
    ['a misspelt section', { ...GOOD, 'gatway.replicas': 2 }, /additional properties 'gatway' not allowed/],
    ['a misspelt value', { ...GOOD, 'gateway.replica': 2 }, /'\/gateway': additional properties 'replica' not allowed/],
    [
      'a log level that is none',
      { ...GOOD, 'control.logLevel': 'loud' },
      /'\/control\/logLevel': value must be one of/,
    ],
    [
      'a pull policy that is none',
      { ...GOOD, 'image.pullPolicy': 'Sometimes' },
      /'\/image\/pullPolicy': value must be one of/,
    ],
  ])('%s', (_sentence, values, message) => {
    const ran = template(values);
    expect(ran.code).not.toBe(0);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toMatch(message);
  });

  it('all at once, when there are several', () => {
    const { stderr } = template({ 'frontDoor.url': 'x', 'postgres.enabled': false });
    expect(stderr).toMatch(/frontDoor\.url is "x"/);
    expect(stderr).toMatch(/There is no database/);
  });
});
