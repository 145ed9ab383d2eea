/** Unique names: taken in the transaction of the event that gives the name, so two at once cannot both have it. */
import { PlatformError } from '@gantry/contracts/errors';
import { identifier, type Sql } from '@gantry/eventlog/sql';

/** Takes a name. Throws `conflict` with reason `name_taken`. */
export const claimName = async (
  sql: Sql,
  schema: string,
  scope: 'organization' | 'user',
  name: string,
  id: string,
): Promise<void> => {
  const { rows } = await sql.query(
    `insert into ${identifier(schema)}.name_claim (scope, name, id) values ($1, $2, $3) on conflict do nothing returning id`,
    [scope, name.toLowerCase(), id],
  );
  if (rows.length > 0) return;
  throw new PlatformError(
    'conflict',
    `There is ${scope === 'user' ? 'a user' : 'an organization'} called ${name} already: choose another name.`,
    {
      details: { reason: 'name_taken', name },
    },
  );
};
