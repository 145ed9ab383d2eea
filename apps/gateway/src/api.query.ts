/** Query parameters of the plain endpoints: a job's position, and the filter of GraphQL's `JobEventFilter` under the same names. */
import { Id } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { JobEventFilter } from '@gantry/contracts/record';
import type { Request } from 'express';
import { z } from 'zod';

/** The job that a path names. Throws `invalid`. */
export const jobIdOf = (req: Request): string => {
  const { success, data } = Id.safeParse(req.params['id']);
  if (!success)
    throw new PlatformError('invalid', `${String(req.params['id'])} is not the id of a job: ids are UUIDs.`);
  return data;
};

/** The parameters of a request. */
export const parametersOf = (req: Request): URLSearchParams =>
  new URL(req.originalUrl, 'http://gateway').searchParams;

/** A whole number from 0 on; null when it is not given. Throws `invalid` naming the parameter. */
export const countOf = (value: string | null | undefined, name: string): number | null => {
  if (value === null || value === undefined || value === '') return null;
  if (!/^\d{1,10}$/.test(value) || Number(value) > 2 ** 31 - 1)
    throw new PlatformError('invalid', `${name}=${value}: give a whole number from 0 on.`);
  return Number(value);
};

/** Is a switch such as `download=1` on? */
export const isOn = (value: string | null): boolean => value !== null && !['0', 'false'].includes(value);

/**
 * The filter: `hosts=web1&hosts=web2&failedOnly=true`, every field by its own name, lists by repetition. Null when there is none.
 * Throws `invalid` naming the field.
 */
export const filterOf = (parameters: URLSearchParams): JobEventFilter | null => {
  const given: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(JobEventFilter.shape)) {
    const values = parameters.getAll(name);
    if (values.length === 0) continue;
    const kind = kindOf(field as z.ZodType);
    if (kind === 'array') given[name] = values;
    else if (kind === 'boolean') given[name] = isOn(values.at(-1)!);
    else if (kind === 'number') given[name] = countOf(values.at(-1), name);
    else given[name] = values.at(-1);
  }
  if (Object.keys(given).length === 0) return null;
  const parsed = JobEventFilter.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PlatformError('invalid', `${issue!.path.join('.')}: ${issue!.message}`);
};

const kindOf = (type: z.ZodType): string => {
  const inner = (type as { unwrap?: () => z.ZodType }).unwrap;
  return type instanceof z.ZodOptional || type instanceof z.ZodNullable
    ? kindOf(inner!.call(type))
    : type.type;
};
