/**
 * The world of the end-to-end tests: a whole Gantry of their own, started by `./gantry up` as a user would, a process per service
 * so that each can be killed, and stopped at the end whatever happened.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createTestCa } from '@gantry/testkit/test-ca';
import type { TestProject } from 'vitest/node';

const root = join(import.meta.dirname, '../..');

/** What `gantry status --json` says, as far as the tests use it. */
export interface World {
  root: string;
  home: string;
  graphql: string;
  graphqlWs: string;
  web: string;
  pods: string;
  tokenFile: string;
  /** Folder of an authority that this Gantry and its container engine trust for image registries (`openTestCa`). */
  registryCa: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    world: World;
  }
}

/** Starts it; the returned function stops it. */
export default function setup(project: TestProject): () => void {
  return startWorld(project, 'e2e', {
    GANTRY_TEMPLATES_GIT_SILENCE_SECONDS: '5',
    GANTRY_INGEST_RETENTION_SWEEP_SECONDS: '2',
    GANTRY_INGEST_ARCHIVE: pathToFileURL(join(homeOf('e2e'), 'archive')).href,
  });
}

const homeOf = (folder: string): string => join(process.env['GANTRY_HOME'] ?? join(root, '.gantry'), folder);

/** Starts a Gantry in a folder of its own, with this in its environment; the returned function stops it. */
export const startWorld = (
  project: TestProject,
  folder: string,
  settings: NodeJS.ProcessEnv,
): (() => void) => {
  const home = homeOf(folder);
  const registryCa = mkdtempSync(join(tmpdir(), 'gantry-test-ca-'));
  const env = {
    ...process.env,
    GANTRY_HOME: home,
    GANTRY_PROCESSES: 'separate',
    GANTRY_REGISTRY_CA_FILE: createTestCa(registryCa).certificateFile,
    ...settings,
  };
  const gantry = (...args: string[]) =>
    execFileSync(join(root, 'gantry'), args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  gantry('reset', '--yes');
  const status = JSON.parse(lastJson(gantry('up', '--detach', '--json'))) as World;
  project.provide('world', {
    root,
    home,
    graphql: status.graphql,
    graphqlWs: status.graphqlWs,
    web: status.web,
    pods: status.pods,
    tokenFile: status.tokenFile,
    registryCa,
  });
  return () => {
    gantry('down');
    rmSync(registryCa, { recursive: true, force: true });
  };
};

/** The command's own progress may come before its JSON. */
const lastJson = (output: string): string => output.slice(output.indexOf('{'));
