/** The import walls bite: one breach is planted per row of the table, and ESLint must report each (docs/adr/0002). */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ESLint } from 'eslint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

interface Breach {
  name: string;
  file: string;
  code: string;
  rule: string;
}

const walls = '@nx/enforce-module-boundaries';
const breaches: Breach[] = [
  {
    name: 'contracts import an npm package other than zod',
    file: 'libs/contracts/src/breach-npm.ts',
    code: "import pg from 'pg';\n/** x */\nexport const x = pg;",
    rule: walls,
  },
  {
    name: 'contracts import an adapter',
    file: 'libs/contracts/src/breach-lib.ts',
    code: "import { createEventLog } from '@gantry/eventlog/log';\n/** x */\nexport const x = createEventLog;",
    rule: walls,
  },
  {
    name: 'an adapter imports the other',
    file: 'libs/bus/src/breach-adapter.ts',
    code: "import { createEventLog } from '@gantry/eventlog/log';\n/** x */\nexport const x = createEventLog;",
    rule: walls,
  },
  {
    name: 'an adapter imports Nest',
    file: 'libs/eventlog/src/breach-nest.ts',
    code: "import { Module } from '@nestjs/common';\n/** x */\nexport const x = Module;",
    rule: walls,
  },
  {
    name: 'the runtime imports an app',
    file: 'libs/service/src/breach-app.ts',
    code: "import { x as y } from '../../../apps/vault/src/app.module.js';\n/** x */\nexport const x = y;",
    rule: walls,
  },
  {
    name: 'an app imports another app',
    file: 'apps/launcher/src/breach-app.ts',
    code: "import { x as y } from '../../vault/src/app.module.js';\nexport const x = y;",
    rule: walls,
  },
  {
    name: 'a test imports an app',
    file: 'test/walls/breach-app.ts',
    code: "import { x as y } from '../../apps/vault/src/app.module.js';\nexport const x = y;",
    rule: walls,
  },
  {
    name: 'an app imports the testkit outside of a spec',
    file: 'apps/vault/src/breach-testkit.ts',
    code: "import { startNats } from '@gantry/testkit/nats';\nexport const x = startNats;",
    rule: 'no-restricted-imports',
  },
  {
    name: 'a domain imports an npm package',
    file: 'apps/launcher/src/domain/breach-npm.ts',
    code: "import { v7 } from 'uuid';\nexport const x = v7;",
    rule: 'no-restricted-imports',
  },
  {
    name: 'a domain leaves its folder',
    file: 'apps/launcher/src/domain/breach-folder.ts',
    code: "import { x as y } from '../config.js';\nexport const x = y;",
    rule: 'no-restricted-imports',
  },
  {
    name: 'a domain reads the clock',
    file: 'apps/launcher/src/domain/breach-clock.ts',
    code: 'export const x = Date.now();',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a domain makes a date of now',
    file: 'apps/launcher/src/domain/breach-date.ts',
    code: 'export const x = new Date();',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a domain throws dice',
    file: 'apps/launcher/src/domain/breach-random.ts',
    code: 'export const x = Math.random();',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'somebody exports everything',
    file: 'libs/bus/src/breach-star.ts',
    code: "export * from './connect.js';",
    rule: 'no-restricted-syntax',
  },
];

/** Who imports whom, as Nx sees it. */
const readGraph = (): Record<string, { target: string }[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-graph-'));
  const file = join(folder, 'graph.json');
  execFileSync(process.execPath, ['node_modules/nx/dist/bin/nx.js', 'graph', `--file=${file}`], {
    cwd: root,
    env: { ...process.env, NX_DAEMON: 'false' },
  });
  const { graph } = JSON.parse(readFileSync(file, 'utf8')) as {
    graph: { dependencies: Record<string, { target: string }[]> };
  };
  rmSync(folder, { recursive: true });
  return graph.dependencies;
};

describe('the import walls', () => {
  let found: Map<string, string[]>;
  let dependencies: Record<string, { target: string }[]>;

  beforeAll(async () => {
    // The walls read Nx's project graph from its cache and are silent where there is none: make it, before the breaches.
    dependencies = readGraph();
    for (const { file, code } of breaches) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), `${code}\n`);
    }
    const results = await new ESLint({ cwd: root }).lintFiles(breaches.map(({ file }) => file));
    found = new Map(
      results.map((result) => [
        result.filePath.slice(root.length + 1),
        result.messages.map((message) => message.ruleId ?? ''),
      ]),
    );
  });
  afterAll(() => {
    for (const { file } of breaches) rmSync(join(root, file), { force: true });
  });

  it.each(breaches)('report it when $name', ({ file, rule }) => {
    expect(found.get(file)).toContain(rule);
  });

  it('have a tag for every project', () => {
    for (const folder of ['apps', 'libs']) {
      for (const name of readdirSync(join(root, folder))) {
        const { nx } = JSON.parse(readFileSync(join(root, folder, name, 'package.json'), 'utf8')) as {
          nx?: { tags?: string[] };
        };
        expect(
          nx?.tags?.filter((tag) => tag.startsWith('type:')),
          `${folder}/${name}`,
        ).toHaveLength(1);
      }
    }
  });

  it('are known to the build: a project is compiled after all that its tsconfig.json refers to', () => {
    const after = (project: string): Set<string> =>
      new Set((dependencies[project] ?? []).flatMap(({ target }) => [target, ...after(target)]));
    for (const folder of ['apps', 'libs']) {
      for (const name of readdirSync(join(root, folder))) {
        const config = join(root, folder, name, 'tsconfig.json');
        if (!existsSync(config)) continue;
        const { references = [] } = JSON.parse(readFileSync(config, 'utf8')) as {
          references?: { path: string }[];
        };
        const wanted = references.map(({ path }) => `@gantry/${basename(path)}`);
        expect([...after(`@gantry/${name}`)], `${folder}/${name}`).toEqual(expect.arrayContaining(wanted));
      }
    }
  });
});
