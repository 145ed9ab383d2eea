/** What a case of the bench is, and what it is given. */
import type { Report } from './result.js';
import type { World, WorldMode } from './world.js';

/** How much is measured: `full` for figures, `tiny` to see that it works. */
export type Size = 'full' | 'tiny';

/** What a case works with. */
export interface CaseContext {
  world: World;
  /** Picks by size. */
  sized(full: number, tiny: number): number;
  /** Says on standard error what happens now. */
  say(text: string): void;
}

/** A case: what it is called, the world it needs, and how it is measured. */
export interface BenchCase {
  name: string;
  title: string;
  mode: WorldMode;
  run(context: CaseContext): Promise<Report[]>;
}
