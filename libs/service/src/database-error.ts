/** Errors of pg and TypeORM as ours. */
import { fromPostgres } from '@gantry/eventlog/sql';

/** As `fromPostgres` of @gantry/eventlog/sql, and looks into TypeORM's wrapping. What is no database error is returned unchanged. */
export const fromDatabase = (error: unknown): unknown => {
  const driverError = error instanceof Error && 'driverError' in error ? error.driverError : undefined;
  return fromPostgres(driverError instanceof Error ? driverError : error);
};
