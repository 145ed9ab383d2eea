/** The rules of one organization: what is in force, and what changes it. Pure. */
import { makeEvent, type EventOf, type NewEvent } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import { RetentionRuleRemoved, RetentionRuleSet } from '@gantry/contracts/retention';

/** Days to keep by job template id; null: of the organization. */
export type RuleSet = ReadonlyMap<string | null, number>;

/** Events of rules; what became of partitions lies in other streams. */
export const ruleEvents = { RetentionRuleSet, RetentionRuleRemoved };
type RuleEvent = EventOf<(typeof ruleEvents)[keyof typeof ruleEvents]>;

/** No rule. */
export const noRules: RuleSet = new Map();

/** The rules after an event. */
export const evolve = (rules: RuleSet, { type, data }: RuleEvent): RuleSet => {
  const next = new Map(rules);
  switch (type) {
    case 'retention.rule_set':
      return next.set(data.jobTemplateId, data.keepDays);
    case 'retention.rule_removed':
      next.delete(data.jobTemplateId);
      return next;
  }
};

/** Which rule: of an organization, or of one of its job templates. */
export interface RuleScope {
  organizationId: string;
  jobTemplateId: string | null;
}

/** Sets a rule; nothing to do when it says so already. */
export const setRule = (rules: RuleSet, scope: RuleScope, keepDays: number, eventId: string): NewEvent[] =>
  rules.get(scope.jobTemplateId) === keepDays
    ? []
    : [makeEvent(RetentionRuleSet, eventId, { ...scope, keepDays })];

/** Takes a rule away. Throws `not_found`. */
export const removeRule = (rules: RuleSet, scope: RuleScope, eventId: string): NewEvent[] => {
  if (rules.has(scope.jobTemplateId)) return [makeEvent(RetentionRuleRemoved, eventId, { ...scope })];
  throw new PlatformError(
    'not_found',
    scope.jobTemplateId === null
      ? 'This organization has no retention rule of its own.'
      : 'This job template has no retention rule of its own in this organization.',
    { details: { ...scope } },
  );
};
