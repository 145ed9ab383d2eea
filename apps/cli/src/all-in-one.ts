/**
 * The embedded mode's one process: each service's own main, side by side. They still talk through NATS and each has its own
 * Postgres role; together they need a third of the memory of seven processes (docs/adr/0005).
 */
import { serviceNames } from '@gantry/contracts/command';

await Promise.all(
  serviceNames.map((name) => import(new URL(`../../${name}/dist/main.js`, import.meta.url).href)),
);
