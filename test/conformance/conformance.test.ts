/**
 * The protocol's conformance suite against the real bank server on a real Postgres: what needs no fixtures on the bank as it is, and
 * everything else, with a toolset of fixtures on the same serving stack, through the gateway.
 */
import { randomBytes } from 'node:crypto';
import { toolsetsNamed } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../harness/postgres.ts';
import { type RunningBank, runBank } from '../integration/server/support.ts';
import { fixtures } from './fixtures.ts';
import { openDoorWithToken } from './gateway.ts';
import { addingProxy, type Outcome, REVISIONS, type Revision, requiredScenarios, runRequirements } from './run.ts';

/** What any server must pass that holds none of the suite's tools, resources and prompts. */
const FIXTURE_FREE: Record<Revision, readonly string[]> = {
  '2025-11-25': ['server-initialize', 'ping', 'tools-list', 'resources-list', 'prompts-list'],
  '2026-07-28': [
    'tools-list',
    'server-sse-multiple-streams',
    'resources-list',
    'sep-2164-resource-not-found',
    'prompts-list',
    'caching',
    'input-required-result-missing-input-response',
    'input-required-result-unsupported-methods',
    'input-required-result-ignore-extra-params',
    'input-required-result-validate-input',
  ],
};

const ASKS_NOTHING = 'the server asks its clients nothing';
const NO_LOGS = 'logs are for operators; the protocol has deprecated them';
const NO_PROGRESS = 'no tool takes long enough to tell of progress';

/** Scenarios of optional features that are not offered, or a part of their checks by id. One that passes all the same fails here. */
const NOT_OFFERED: Record<
  Revision,
  Readonly<Record<string, string | { checks: readonly string[]; because: string }>>
> = {
  '2025-11-25': {
    'logging-set-level': NO_LOGS,
    'tools-call-with-logging': NO_LOGS,
    'tools-call-with-progress': NO_PROGRESS,
    'tools-call-sampling': ASKS_NOTHING,
    'tools-call-elicitation': ASKS_NOTHING,
    'elicitation-sep1034-defaults': ASKS_NOTHING,
    'elicitation-sep1330-enums': ASKS_NOTHING,
  },
  '2026-07-28': {
    'tools-call-with-progress': NO_PROGRESS,
    'server-stateless': {
      checks: ['sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400'],
      because: ASKS_NOTHING,
    },
    'input-required-result-basic-elicitation': ASKS_NOTHING,
    'input-required-result-basic-sampling': ASKS_NOTHING,
    'input-required-result-basic-list-roots': ASKS_NOTHING,
    'input-required-result-request-state': ASKS_NOTHING,
    'input-required-result-multiple-input-requests': ASKS_NOTHING,
    'input-required-result-multi-round': ASKS_NOTHING,
    'input-required-result-non-tool-request': ASKS_NOTHING,
    'input-required-result-result-type': ASKS_NOTHING,
    'input-required-result-tampered-state': ASKS_NOTHING,
    'input-required-result-capability-check': ASKS_NOTHING,
  },
};

const TOOLSETS = toolsetsNamed(['recordings', 'workspace', 'semantic']);
const root = randomBytes(32);
let postgres: TestPostgres;
let plain: RunningBank;
let furnished: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  plain = await runBank(postgres, 'plain', { toolsets: TOOLSETS });
  furnished = await runBank(postgres, 'furnished', { toolsets: [...TOOLSETS, fixtures], root });
});
afterAll(async () => {
  await plain?.[Symbol.asyncDispose]();
  await furnished?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

describe.each(REVISIONS)('what %s requires', (revision) => {
  describe('of the bank as it is', () => {
    let outcomes: Map<string, Outcome>;
    beforeAll(async () => {
      await using proxy = await addingProxy(() => plain.headers({ scopes: ['mcp:read', 'mcp:write'] }));
      proxy.target = plain.url;
      outcomes = await runRequirements(`${proxy.origin}${new URL(plain.url).pathname}`, revision);
    });

    it.each(FIXTURE_FREE[revision])('%s', (scenario) => {
      expect(requiredScenarios(revision)).toContain(scenario);
      expectPassed(outcomes, scenario);
    });
  });

  describe('with fixtures, through the gateway', () => {
    let outcomes: Map<string, Outcome>;
    beforeAll(async () => {
      await using door = await openDoorWithToken(postgres, furnished, root);
      outcomes = await runRequirements(door.url, revision);
    });

    it.each(requiredScenarios(revision))('%s', (scenario) => {
      const exception = NOT_OFFERED[revision][scenario];
      if (exception === undefined) return expectPassed(outcomes, scenario);
      const { passed, failures } = outcomes.get(scenario) ?? { passed: 0, failures: ['it did not run'] };
      if (typeof exception === 'string') {
        expect(passed === 0 || failures.length > 0, `${scenario} passes, although ${exception}`).toBe(true);
        return;
      }
      expect(passed).toBeGreaterThan(0);
      expect(failures.map((failure) => failure.split(':')[0])).toEqual(exception.checks);
    });
  });
});

/** A suite that crashed would show no failure either, so something must have passed. */
function expectPassed(outcomes: Map<string, Outcome>, scenario: string): void {
  const { passed, failures } = outcomes.get(scenario) ?? { passed: 0, failures: ['it did not run'] };
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThan(0);
}
