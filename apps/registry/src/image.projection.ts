/** Images as queries show them, and their packages as rows that are found by name and version. */
import { readable, type Principal } from '@gantry/contracts/access';
import type { OutputOf, PageOf, ReceivedBy } from '@gantry/contracts/command';
import { ExecutionEnvironmentDigestResolved } from '@gantry/contracts/ee';
import { parseEvent, type StoredEvent } from '@gantry/contracts/envelope';
import {
  imageEvents,
  packageKinds,
  type FindPackage,
  type Image,
  type ImageContents,
  type ImagePackage,
  type ListImagePackages,
} from '@gantry/contracts/image';
import type { Reason } from '@gantry/contracts/job';
import { fromPostgres, identifier, type Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { readPage } from '@gantry/service/page';
import { findingsOf, packagesOf, pythonName } from './domain/image-contents.js';
import { noSuchImage } from './domain/image.js';
import { notAComparison, readComparisons, versionKey } from './package-versions.js';
import type { Registry } from './registry.js';

const projected = { ...imageEvents, ExecutionEnvironmentDigestResolved };

/** The projection into the tables `image`, `image_environment` and `image_package` of this schema. */
export const imageProjection = (schema: string): ProjectionDefinition => ({
  name: 'image',
  tables: ['image', 'image_environment', 'image_package'],
  types: Object.values(projected).map(({ type }) => type),
  apply: (event, sql) => applyEvent(identifier(schema), event, sql),
});

const applyEvent = async (schema: string, stored: StoredEvent, sql: Sql): Promise<void> => {
  const event = parseEvent(projected, stored);
  switch (event?.type) {
    case 'execution_environment.digest_resolved':
    case 'image.seen': {
      const { digest, image, executionEnvironmentId } = event.data;
      await sql.query(
        `insert into ${schema}.image as known (digest, images, seen_at) values ($1, array[$2], $3)
         on conflict (digest) do update set images = array_append(known.images, $2) where not $2 = any(known.images)`,
        [digest, image, stored.at],
      );
      await sql.query(
        `insert into ${schema}.image_environment (digest, execution_environment_id) values ($1, $2) on conflict do nothing`,
        [digest, executionEnvironmentId],
      );
      break;
    }
    case 'image.inspection_requested':
      await sql.query(
        `update ${schema}.image set inspection = 'requested', requested_at = $2 where digest = $1`,
        [event.data.digest, event.data.requestedAt],
      );
      break;
    case 'image.inspection_failed':
      await sql.query(`update ${schema}.image set inspection = 'failed', failure = $2 where digest = $1`, [
        event.data.digest,
        event.data.reason,
      ]);
      break;
    case 'image.inspected':
      await keepContents(schema, event.data, stored.at, sql);
      break;
  }
};

const keepContents = async (
  schema: string,
  { digest, contents }: { digest: string; contents: ImageContents },
  at: string,
  sql: Sql,
): Promise<void> => {
  await sql.query(
    `update ${schema}.image set inspection = 'inspected', inspected_at = $2, failure = null, contents = $3 where digest = $1`,
    [digest, at, contents],
  );
  await sql.query(`delete from ${schema}.image_package where digest = $1`, [digest]);
  const packages = packagesOf(contents);
  const column = (value: (one: ImagePackage) => string | null) => packages.map(value);
  await sql.query(
    `insert into ${schema}.image_package (digest, kind, name, version, detail, version_key)
     select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])`,
    [
      digest,
      column(({ kind }) => kind),
      column(({ name }) => name),
      column(({ version }) => version),
      column(({ detail }) => detail),
      column(({ kind, version }) => versionKey(kind, version)),
    ],
  );
};

/** Parameters and the condition that an environment `ee` is one that the person may see. */
const visible = (principal: Principal, params: unknown[]): string => {
  const organizations = readable(principal);
  if (organizations === 'all') return 'true';
  return `(ee.organization_id is null or ee.organization_id = any($${params.push(organizations)}::uuid[]))`;
};

interface Row {
  digest: string;
  images: string[];
  environments: string[];
  seen_at: Date;
  inspection: Image['inspection'];
  requested_at: Date | null;
  inspected_at: Date | null;
  failure: Reason | null;
  contents: ImageContents | null;
  counts: Image['packageCounts'];
}

const shown = (row: Row): Image => {
  const { contents } = row;
  return {
    digest: row.digest,
    references: row.images,
    executionEnvironmentIds: row.environments,
    seenAt: row.seen_at.toISOString(),
    inspection: row.inspection,
    requestedAt: row.requested_at?.toISOString() ?? null,
    inspectedAt: row.inspected_at?.toISOString() ?? null,
    failure: row.inspection === 'failed' ? row.failure : null,
    config: contents?.config ?? null,
    report: contents?.report ?? null,
    packageCounts: row.counts,
    findings: contents ? findingsOf(contents.report) : [],
  };
};

/** Those of these images that the person may see, packages counted. */
export const describeImages = async (
  { pool, log }: Registry,
  digests: readonly string[],
  principal: Principal,
): Promise<Image[]> => {
  const schema = identifier(log.schema);
  const params: unknown[] = [digests];
  const seeable = visible(principal, params);
  // The lists of packages stay where they are: they are most of the contents.
  const { rows } = await pool
    .query<Row>(
      `select image.digest, images, seen_at, inspection, requested_at, inspected_at, failure, environments,
              contents #- '{report,pythonPackages}' #- '{report,collections}' #- '{report,systemPackages}' as contents,
              coalesce((select json_agg(json_build_object('kind', kind, 'count', count)) from (
                select kind, count(*)::int as count from ${schema}.image_package package where package.digest = image.digest group by kind
              ) counted), '[]') as counts
       from ${schema}.image, lateral (
         select array_agg(ee.id::text order by ee.name) as environments
         from ${schema}.image_environment of join ${schema}.execution_environment ee on ee.id = of.execution_environment_id
         where of.digest = image.digest and ${seeable}
       ) seen where image.digest = any($1) and environments is not null`,
      params,
    )
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  const byDigest = new Map(rows.map((row) => [row.digest, shown(row)]));
  return digests.flatMap((digest) => byDigest.get(digest) ?? []);
};

/** Everything in an image, whoever asks; null when nobody has looked into it. */
export const readContents = async (
  { pool, log }: Registry,
  digest: string,
): Promise<{ references: string[]; inspectedAt: string; contents: ImageContents } | null> => {
  const { rows } = await pool
    .query<{ images: string[]; inspected_at: Date; contents: ImageContents }>(
      `select images, inspected_at, contents from ${identifier(log.schema)}.image where digest = $1 and contents is not null`,
      [digest],
    )
    .catch((error: unknown) => {
      throw fromPostgres(error);
    });
  const [row] = rows;
  return (
    (row && {
      references: row.images,
      inspectedAt: row.inspected_at.toISOString(),
      contents: row.contents,
    }) ??
    null
  );
};

const packageOf = ({ kind, name, version, detail }: ImagePackage): ImagePackage => ({
  kind,
  name,
  version,
  detail,
});
const packageKeys = ['kind', 'name', 'version', 'detail'].map((column) => ({
  column,
  type: 'text' as const,
}));

/** A page of an image's packages. Throws `not_found`. */
export const listImagePackages = async (
  registry: Registry,
  input: ReceivedBy<typeof ListImagePackages>,
  principal: Principal,
): Promise<PageOf<ImagePackage>> => {
  const [image] = await describeImages(registry, [input.digest], principal);
  if (!image) throw noSuchImage(input.digest);
  const [where, params]: [string[], unknown[]] = [['digest = $1'], [input.digest]];
  if (input.kind) where.push(`kind = $${params.push(input.kind)}`);
  if (input.search) where.push(`strpos(lower(name), lower($${params.push(input.search)})) > 0`);
  return readPage(registry.pool, {
    from: `${identifier(registry.log.schema)}.image_package`,
    where,
    params,
    keys: packageKeys,
    request: input,
    node: packageOf,
  });
};

/** Which execution environments hold a package now: by the index over kind, name and version. Throws `invalid`. */
export const findPackage = async (
  { pool, log }: Registry,
  input: ReceivedBy<typeof FindPackage>,
  principal: Principal,
): Promise<OutputOf<typeof FindPackage>> => {
  const schema = identifier(log.schema);
  const params: unknown[] = [];
  const seeable = visible(principal, params);
  const kinds = (input.kind ? [input.kind] : packageKinds).flatMap((kind) => {
    const comparisons = input.version ? readComparisons(kind, input.version) : [];
    if (comparisons === null) return [];
    const name = kind === 'python' ? pythonName(input.name) : input.name;
    const conditions = [`package.kind = $${params.push(kind)}`, `package.name = $${params.push(name)}`];
    for (const { operator, key } of comparisons)
      conditions.push(`package.version_key ${operator} $${params.push(key)} collate "C"`);
    return [`(${conditions.join(' and ')})`];
  });
  if (kinds.length === 0) throw notAComparison(input.version ?? '');
  return readPage(pool, {
    from: `(select ee.id, ee.name as ee_name, ee.digest, package.kind, package.name, package.version, package.detail
            from ${schema}.image_package package join ${schema}.execution_environment ee on ee.digest = package.digest
            where (${kinds.join(' or ')}) and ${seeable}) as found`,
    params,
    keys: [{ column: 'ee_name', type: 'text' }, { column: 'id', type: 'uuid' }, ...packageKeys],
    request: input,
    node: (row: ImagePackage & { id: string; ee_name: string; digest: string }) => ({
      ...packageOf(row),
      executionEnvironmentId: row.id,
      executionEnvironment: row.ee_name,
      digest: row.digest,
    }),
  });
};
