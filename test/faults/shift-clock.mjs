/**
 * Loaded into every node process of the world (NODE_OPTIONS): the wall clock of a service is as many milliseconds off as
 * the file `clock-<service>` in GANTRY_HOME says. What Node measures time with (timers, performance.now) goes on as it
 * does on a machine whose clock is set.
 */
import { readFileSync, watchFile } from 'node:fs';
import { join } from 'node:path';

const service = /apps\/([a-z]+)\/dist\/main\.js$/.exec(process.argv[1] ?? '')?.[1];
const home = process.env['GANTRY_HOME'];
if (service && home) {
  const file = join(home, `clock-${service}`);
  const RealDate = Date;
  let shift = 0;
  const look = () => {
    try {
      shift = Number(readFileSync(file, 'utf8'));
    } catch {
      shift = 0;
    }
  };
  look();
  watchFile(file, { interval: 100 }, look).unref();
  globalThis.Date = class Date extends RealDate {
    constructor(...parts) {
      if (parts.length === 0) super(RealDate.now() + shift);
      else super(...parts);
    }
    static now() {
      return RealDate.now() + shift;
    }
  };
}
