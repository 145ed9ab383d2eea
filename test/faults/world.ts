/** The world of the fault tests: a whole Gantry of their own, a process per service, with a clock that can be set for each. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TestProject } from 'vitest/node';
import { startWorld } from '../e2e/world.js';

/** Starts it; the returned function stops it. */
export default function setup(project: TestProject): () => void {
  const clock = pathToFileURL(join(import.meta.dirname, 'shift-clock.mjs'));
  return startWorld(project, 'faults', {
    GANTRY_LAG_ALARM_SECONDS: '3',
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import ${clock.href}`.trim(),
  });
}
