/** Unique names within an organization: taken in the transaction of the event that gives the name, so two at once cannot both have it. */
import { PlatformError } from '@gantry/contracts/errors';
import { identifier, type Sql } from '@gantry/eventlog/sql';

const words = { project: 'a project', inventory: 'an inventory', job_template: 'a job template' } as const;

/** What is named. */
export interface Named {
  kind: keyof typeof words;
  organizationId: string;
  name: string;
  id: string;
}

/** Takes a name; one that the same thing had before is free again. Throws `conflict` with reason `name_taken`. */
export const claimName = async (
  sql: Sql,
  schema: string,
  { kind, organizationId, name, id }: Named,
): Promise<void> => {
  const table = `${identifier(schema)}.name_claim`;
  const scope = `${kind}:${organizationId}`;
  await sql.query(`delete from ${table} where id = $1 and not (scope = $2 and name = $3)`, [id, scope, name]);
  const { rows } = await sql.query<{ id: string }>(
    `insert into ${table} as claim (scope, name, id) values ($1, $2, $3)
     on conflict (scope, name) do update set id = claim.id returning id::text as id`,
    [scope, name, id],
  );
  if (rows[0]?.id === id) return;
  throw new PlatformError(
    'conflict',
    `There is ${words[kind]} called ${name} in this organization already: choose another name.`,
    {
      details: { reason: 'name_taken', name },
    },
  );
};
