/** What images meant when. */
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { eeEvents, type DigestPeriod, type ListDigestHistory } from '@gantry/contracts/ee';
import { parseEvent } from '@gantry/contracts/envelope';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { readPage } from '@gantry/service/page';
import type { Registry } from './registry.js';

/** The projection into `execution_environment_digest`. A period ends when the tag moves, or the execution environment is given another image. */
export const digestHistoryProjection = (schema: string): ProjectionDefinition => ({
  name: 'digest-history',
  tables: ['execution_environment_digest'],
  types: Object.values(eeEvents).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(eeEvents, stored);
    if (!event) return;
    const table = `${schema}.execution_environment_digest`;
    const { executionEnvironmentId: id } = event.data;
    switch (event.type) {
      case 'execution_environment.digest_resolved': {
        const { image, digest, source, platforms } = event.data;
        await sql.query(
          `update ${table} set until = $2 where execution_environment_id = $1 and until is null`,
          [id, stored.at],
        );
        await sql.query(
          `insert into ${table} (execution_environment_id, version, image, digest, source, platforms, since)
           values ($1, $2, $3, $4, $5, $6, $7)`,
          [
            id,
            stored.streamVersion,
            image,
            digest,
            source ?? null,
            platforms ? JSON.stringify(platforms) : null,
            stored.at,
          ],
        );
        break;
      }
      case 'execution_environment.revised':
      case 'execution_environment.image_changed':
        await sql.query(
          `update ${table} set until = $3 where execution_environment_id = $1 and until is null and image <> $2`,
          [id, event.data.image, stored.at],
        );
        break;
      case 'execution_environment.deleted':
        await sql.query(`delete from ${table} where execution_environment_id = $1`, [id]);
        break;
    }
  },
});

/** Newest first. Who may see it is checked by the caller. */
export const listDigestHistory = (
  { pool, schema }: Registry,
  input: ReceivedBy<typeof ListDigestHistory>,
): Promise<PageOf<DigestPeriod>> =>
  readPage(pool, {
    from: `${schema}.execution_environment_digest`,
    where: ['execution_environment_id = $1'],
    params: [input.id],
    keys: [{ column: 'version', type: 'integer' }],
    descending: true,
    request: input,
    node: (row): DigestPeriod => ({
      image: row.image,
      digest: row.digest,
      since: row.since.toISOString(),
      until: row.until?.toISOString() ?? null,
      source: row.source,
      platforms: row.platforms,
    }),
  });
