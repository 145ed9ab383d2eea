/** Retention rules: who may set them, the read model, and the rule of a job. */
import { authorize, readable, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent, type Meta, type StoredEvent } from '@gantry/contracts/envelope';
import type {
  ListRetentionRules,
  RemoveRetentionRule,
  RetentionRule,
  SetRetentionRule,
} from '@gantry/contracts/retention';
import type { EventLog } from '@gantry/eventlog/log';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import { decideAndAppend } from '@gantry/service/aggregate';
import { newId } from '@gantry/service/context';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { NO_TEMPLATE, rulesOf, type Rule, type Rules } from './domain/retention.js';
import {
  evolve,
  noRules,
  removeRule,
  ruleEvents,
  setRule,
  type RuleScope,
} from './domain/retention-rules.js';

/** More rules than this are not told of at once. */
const MOST_RULES = 1_000;

/** What the rules stand on. */
export interface RuleDependencies {
  pool: Sql;
  log: EventLog;
  /** Days that hold where no rule does; 0 for ever. */
  defaultKeepDays: number;
}

/** Setting and asking for rules. Throw `forbidden`, `not_found`, `unavailable`. */
export interface RetentionRules {
  set(
    input: ReceivedBy<typeof SetRetentionRule>,
    principal: Principal,
    meta: Meta,
  ): Promise<OutputOf<typeof SetRetentionRule>>;
  remove(input: ReceivedBy<typeof RemoveRetentionRule>, principal: Principal, meta: Meta): Promise<void>;
  list(
    input: ReceivedBy<typeof ListRetentionRules>,
    principal: Principal,
  ): Promise<OutputOf<typeof ListRetentionRules>>;
  /** Every rule there is, or those of one organization. */
  load(sql?: Sql, organizationId?: string): Promise<Rules>;
  /** Every distinct number of days that a rule or the default says. */
  distinctDays(): Promise<number[]>;
}

/** Over the log and the read model in its schema. */
export const createRetentionRules = ({ pool, log, defaultKeepDays }: RuleDependencies): RetentionRules => {
  const table = `${identifier(log.schema)}.retention_rule`;
  const query = async <Row extends object>(
    sql: Sql,
    text: string,
    params: unknown[] = [],
  ): Promise<Row[]> => {
    try {
      return (await sql.query<Row>(text, params)).rows;
    } catch (error) {
      throw fromPostgres(error);
    }
  };
  const scopeOf = (input: { organizationId: string; jobTemplateId?: string | null }): RuleScope => ({
    organizationId: input.organizationId.toLowerCase(),
    jobTemplateId: input.jobTemplateId?.toLowerCase() ?? null,
  });
  const aggregate = (organizationId: string) => ({
    log,
    stream: `retention-${organizationId}`,
    initial: noRules,
    evolve,
    catalogue: ruleEvents,
  });

  return {
    set: async (input, principal, meta) => {
      const scope = scopeOf(input);
      authorize(principal, 'admin', scope.organizationId, 'the retention rules of this organization');
      const eventId = newId();
      const { events } = await decideAndAppend({
        ...aggregate(scope.organizationId),
        decide: (rules) => setRule(rules, scope, input.keepDays, eventId),
        meta,
      });
      const [known] = await query<Row>(
        pool,
        `select * from ${table} where organization_id = $1 and job_template_id = $2`,
        [scope.organizationId, scope.jobTemplateId ?? NO_TEMPLATE],
      );
      const rule =
        events.length === 0 && known
          ? shown(known)
          : {
              ...scope,
              keepDays: input.keepDays,
              setAt: events[0]?.at ?? new Date().toISOString(),
              setBy: meta.actor.name,
            };
      return { rule };
    },
    remove: async (input, principal, meta) => {
      const scope = scopeOf(input);
      authorize(principal, 'admin', scope.organizationId, 'the retention rules of this organization');
      const eventId = newId();
      await decideAndAppend({
        ...aggregate(scope.organizationId),
        decide: (rules) => removeRule(rules, scope, eventId),
        meta,
      });
    },
    list: async ({ organizationId }, principal) => {
      const mine = readable(principal);
      const rows = await query<Row>(
        pool,
        `select * from ${table} where ($1::uuid is null or organization_id = $1) and ($2::uuid[] is null or organization_id = any($2))
         order by organization_id, job_template_id limit $3`,
        [organizationId ?? null, mine === 'all' ? null : mine, MOST_RULES],
      );
      return { defaultKeepDays, items: rows.map(shown) };
    },
    load: async (sql = pool, organizationId) => {
      const rules = await query<Rule>(
        sql,
        `select organization_id as "organizationId", job_template_id as "jobTemplateId", keep_days as "keepDays" from ${table}
         where $1::uuid is null or organization_id = $1`,
        [organizationId ?? null],
      );
      return rulesOf(rules, defaultKeepDays);
    },
    distinctDays: async () => {
      const rows = await query<{ days: number }>(
        pool,
        `select distinct keep_days as days from ${table} order by 1 limit 100`,
      );
      return [...new Set([defaultKeepDays, ...rows.map(({ days }) => days)])];
    },
  };
};

interface Row {
  organization_id: string;
  job_template_id: string;
  keep_days: number;
  set_at: Date;
  set_by: string;
}

const shown = (row: Row): RetentionRule => ({
  organizationId: row.organization_id,
  jobTemplateId: row.job_template_id === NO_TEMPLATE ? null : row.job_template_id,
  keepDays: row.keep_days,
  setAt: row.set_at.toISOString(),
  setBy: row.set_by,
});

/** The read model of the rules in a schema. */
export const retentionRuleProjection = (schema: string): ProjectionDefinition => {
  const table = `${identifier(schema)}.retention_rule`;
  return {
    name: 'retention-rule',
    tables: ['retention_rule'],
    types: Object.values(ruleEvents).map(({ type }) => type),
    apply: (event, sql) => applyEvent(table, event, sql),
  };
};

const applyEvent = async (table: string, stored: StoredEvent, sql: Sql): Promise<void> => {
  const event = parseEvent(ruleEvents, stored);
  switch (event?.type) {
    case 'retention.rule_set':
      await sql.query(
        `insert into ${table} values ($1, $2, $3, $4, $5) on conflict (organization_id, job_template_id) do update
         set keep_days = excluded.keep_days, set_at = excluded.set_at, set_by = excluded.set_by`,
        [
          event.data.organizationId,
          event.data.jobTemplateId ?? NO_TEMPLATE,
          event.data.keepDays,
          stored.at,
          stored.meta.actor.name,
        ],
      );
      break;
    case 'retention.rule_removed':
      await sql.query(`delete from ${table} where organization_id = $1 and job_template_id = $2`, [
        event.data.organizationId,
        event.data.jobTemplateId ?? NO_TEMPLATE,
      ]);
      break;
  }
};
