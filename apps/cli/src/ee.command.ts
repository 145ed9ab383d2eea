/** `gantry ee`: execution environments. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { addBuildCommand } from './ee-build/build-options.js';
import { pruneCommand, pullCommand } from './ee-images.js';
import { eeDiffCommand, eeFindCommand, eeInspectCommand, eeSbomCommand } from './ee-contents.js';
import {
  changeCommand,
  createCommand,
  deleteCommand,
  historyCommand,
  listCommand,
  resolveCommand,
  showCommand,
} from './ee-settings.js';

/** Makes a command's answer the exit code. */
export type Run = <A extends unknown[]>(
  command: (...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;

const pulls = ['always', 'missing', 'never', 'default'] as const;
const pullPolicy = (value: string): string => {
  if ((pulls as readonly string[]).includes(value)) return value;
  throw new InvalidArgumentError(`Give one of ${pulls.join(', ')}.`);
};
const version = (value: string): number => {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Give the version that you have read: 1, 2, ...');
};
const days = (value: string): number => {
  if (/^\d{1,4}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Give a number of days: 0, 1, ...');
};
const settings = (command: Command): Command =>
  command
    .option('--description <text>', 'what it is for')
    .option('--organization <name>', 'whose it is, by name or id; none = everybody may use it')
    .option('--pull <policy>', 'always, missing, never; default = as Kubernetes does it', pullPolicy)
    .option('--credential <name>', 'the login of its registry, by name or id; none = without')
    .option('--json');

/** Adds `gantry ee` and its verbs; an execution environment is named by its name or id. */
export const addEeCommands = (program: Command, run: Run): void => {
  const ee = program.command('ee').description('execution environments: the images that jobs run in');
  ee.command('list').description('those that you may see').option('--json').action(run(listCommand));
  ee.command('show <ee>')
    .description('one, with what its image means and who uses it')
    .option('--json')
    .action(run(showCommand));
  settings(
    ee
      .command('create <name> <image>')
      .description('make one of an image: registry/repository:tag or @sha256:digest'),
  ).action(run(createCommand));
  settings(
    ee
      .command('change <ee>')
      .description('change what is given, leave the rest')
      .option('--name <name>', 'another name')
      .option('--image <image>', 'another image')
      .option('--expected-version <n>', 'only if nobody has changed it since this version', version),
  ).action(run(changeCommand));
  ee.command('delete <ee>')
    .description('delete one that nobody uses')
    .option('--json')
    .action(run(deleteCommand));
  ee.command('history <ee>')
    .description('what its image meant when')
    .option('--json')
    .action(run(historyCommand));
  ee.command('resolve <ee>')
    .description('ask its registry now what its image means')
    .option('--json')
    .action(run(resolveCommand));
  ee.command('pull <ee>')
    .description('have its image pulled to where pods run, before a job needs it')
    .option('--detach', 'do not wait for its end')
    .option('--json')
    .action(run(pullCommand));
  ee.command('prune')
    .description('remove images that Gantry has pulled and that nothing needs any more')
    .option('--keep-days <n>', 'keep what was used within so many days', days, 14)
    .option('--dry-run', 'only tell which would be removed')
    .option('--json')
    .action(run(pruneCommand));
  addBuildCommand(ee, run);
  addContents(ee, run);
};

/** What is in images; also named by their digests. */
const addContents = (ee: Command, run: Run): void => {
  ee.command('inspect <ee-or-digest>')
    .description('what is in its image: versions, packages, labels; looked into if nobody has yet')
    .option('--again', 'look into it again')
    .option('--packages', 'list every package')
    .option('--json')
    .action(run(eeInspectCommand));
  ee.command('diff <from> <to>')
    .description('how the contents of two images differ')
    .option('--json')
    .action(run(eeDiffCommand));
  ee.command('sbom <ee-or-digest>')
    .description('its bill of materials: CycloneDX 1.6, JSON')
    .option('-o, --output <file>', 'where to (standard output)')
    .action(run(eeSbomCommand));
  const kinds = ['collection', 'python', 'dpkg', 'rpm', 'apk'];
  ee.command('find <package> [version]')
    .description('which execution environments hold a package: find community.general "< 8"')
    .addOption(new Option('--kind <kind>', 'only this kind').choices(kinds))
    .option('--json')
    .addHelpText('after', '\nExit codes: 0 found · 1 nobody holds it.')
    .action(run(eeFindCommand));
};
