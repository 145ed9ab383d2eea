/** Numbered migration files: names, order, checksums. */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import { identifier } from './sql.js';

/** One migration as it lies on disk. */
export interface MigrationFile {
  number: number;
  /** `000002_add_job_outcome.sql` */
  file: string;
  /** SQL with the `:SCHEMA` placeholder. */
  sql: string;
  /** Hex SHA-256 of the file's bytes. */
  checksum: string;
}

const fileName = /^(\d{6})_[a-z0-9_]+\.sql$/;

/** The migrations of a directory in order. Throws `invalid` for a misnamed file or numbers that are not 1, 2, 3... */
export const readMigrations = async (directory: string): Promise<MigrationFile[]> => {
  const files = (await readdir(directory))
    .filter((file) => file.endsWith('.sql') && file !== 'schema.sql')
    .sort();
  const numbers = numberMigrations(directory, files);
  return Promise.all(
    files.map(async (file, index) => {
      const bytes = await readFile(join(directory, file));
      const checksum = createHash('sha256').update(bytes).digest('hex');
      return { number: numbers[index]!, file, sql: bytes.toString('utf8'), checksum };
    }),
  );
};

/** The numbers of sorted file names; throws as `readMigrations` does. */
export const numberMigrations = (directory: string, files: readonly string[]): number[] =>
  files.map((file, index) => {
    const number = Number(fileName.exec(file)?.[1] ?? Number.NaN);
    if (number !== index + 1) {
      const expected = String(index + 1).padStart(6, '0');
      throw new PlatformError(
        'invalid',
        `${join(directory, file)}: the next migration must be called ${expected}_<what_it_does>.sql.`,
      );
    }
    return number;
  });

/** Puts the quoted schema name where `:SCHEMA` stands. */
export const fillSchema = (sql: string, schema: string): string =>
  sql.replaceAll(/(?<!:):SCHEMA\b/g, () => identifier(schema));
