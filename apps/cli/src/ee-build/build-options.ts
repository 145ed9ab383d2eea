/** How `gantry ee build` is called. */
import type { Command } from 'commander';
import { buildCommand } from './build.command.js';

const repeat = (value: string, before: string[] = []): string[] => [...before, value];

/** Adds the command to `gantry ee`; `run` makes its answer the exit code. */
export const addBuildCommand = (
  ee: Command,
  run: <A extends unknown[]>(command: (...args: A) => Promise<number>) => (...args: A) => Promise<void>,
): Command =>
  ee
    .command('build [file]')
    .description('build an execution-environment.yml (version 3), and lock what it resolved')
    .option('-t, --tag <image>', 'the name of the result; may be repeated', repeat)
    .option('--lock <file>', 'the lock file (beside the definition: execution-environment.lock.yml)')
    .option('--from-lock', 'build exactly what the lock file says, or say what cannot be had any more')
    .option('--push', 'push it to the registry in its name')
    .option(
      '--username <name>',
      "at the registry; else the login of podman's or docker's authentication file",
    )
    .option('--password-stdin', 'the password stands on standard input')
    .option(
      '--register <name>',
      'make it an execution environment of Gantry, by its digest; one of that name is changed',
    )
    .option('--organization <name>', 'the organization it belongs to (none: global)')
    .option('--credential <name>', 'the login with which Gantry pulls it')
    .option('--wheels <folder>', 'wheels for pip; without --index-url there is no other index')
    .option('--collections <folder>', 'collection archives for ansible-galaxy, in place of a Galaxy server')
    .option('--index-url <url>', "pip's index")
    .option('--galaxy-server <url>', 'the Galaxy server')
    .option('--context <folder>', 'keep the Containerfile and what it copies there')
    .option('--no-cache', 'take no layer of an earlier build')
    .option('--pull', 'ask the registry for a newer base image')
    .option('-v, --verbose', 'all that the build says')
    .option('--json')
    .action(run(buildCommand));
