import type { EventOf, NewEvent } from '@gantry/contracts/envelope';
import { givenFor } from '@gantry/testkit/given';
import { describe, expect, it } from 'vitest';
import { evolve, noRules, removeRule, ruleEvents, setRule, type RuleSet } from './retention-rules.js';

type Event = EventOf<(typeof ruleEvents)[keyof typeof ruleEvents]>;
type Command = { set: number; template?: string } | { remove: string | null };

const organizationId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
const template = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0002';
const decide = (rules: RuleSet, command: Command): Event[] => {
  const events: NewEvent[] =
    'set' in command
      ? setRule(
          rules,
          { organizationId, jobTemplateId: command.template ?? null },
          command.set,
          organizationId,
        )
      : removeRule(rules, { organizationId, jobTemplateId: command.remove }, organizationId);
  return events.map(({ type, version, data }) => ({ type, version, data }) as Event);
};
const given = givenFor<RuleSet, Command, Event>({ initial: noRules, evolve, decide });
const set = (keepDays: number, jobTemplateId: string | null = null): Event => ({
  type: 'retention.rule_set',
  version: 1,
  data: { organizationId, jobTemplateId, keepDays },
});

describe('the rules of an organization', () => {
  it('are set once, and changed when they say something else', () => {
    given([])
      .when({ set: 30 })
      .then([set(30)]);
    given([set(30)])
      .when({ set: 30 })
      .thenNothing();
    given([set(30)])
      .when({ set: 0 })
      .then([set(0)]);
    given([set(30)])
      .when({ set: 30, template })
      .then([set(30, template)]);
  });
  it('can be taken away only where they are', () => {
    given([set(30), set(7, template)])
      .when({ remove: template })
      .then([
        { type: 'retention.rule_removed', version: 1, data: { organizationId, jobTemplateId: template } },
      ]);
    expect(() => decide(new Map([[null, 30]]), { remove: template })).toThrow(/no retention rule/);
  });
});
