/**
 * Servers that never outlive whoever needs them. A small shell holds each server as its child and watches its owner;
 * when the owner is gone, however it went, the shell stops the server and removes its folder.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What to run, and for whom. */
export interface GuardedProcess {
  /** The server's command line. */
  command: readonly string[];
  /** Process the server lives for. */
  ownerPid: number;
  /** Folder of its own: working directory, log (`server.log`), a file `exited` once the server ended by itself; removed at the end. */
  directory: string;
  /** Signal that stops it at once but in order. */
  stopSignal: 'INT' | 'TERM';
  /** User and group to run as; one's own when left out. */
  runAs?: { uid: number; gid: number };
  environment?: Record<string, string>;
}

// $1 owner, $2 its start time, $3 folder, $4 signal, then the command. A process id that was given to another process
// has another start time. A shell's background child ignores SIGINT unless it handles it, as Postgres does.
// What has not ended 10 s after the signal is killed. Field 22 of stat, counted after the name, which may hold blanks.
const guard = `
owner=$1 born=$2 folder=$3 signal=$4; shift 4
cd "$folder" || exit 1
"$@" >server.log 2>&1 &
server=$!
finish() {
  trap '' TERM INT
  kill -$signal $server 2>/dev/null
  (for half in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.5; done; kill -KILL $server) 2>/dev/null &
  killer=$!
  wait $server 2>/dev/null
  kill -KILL $killer 2>/dev/null
  cd /
  rm -rf "$folder"
  exit 0
}
trap finish TERM INT
while :; do
  kill -0 $server 2>/dev/null || : >exited
  stat=$(cat /proc/$owner/stat 2>/dev/null) || finish
  set -- \${stat##*)}
  [ "\${20}" = "$born" ] || finish
  sleep 0.3 & wait $!
done
`;

/** Start time of a process as the kernel counts it: with the id, it names a process for good. */
export const processBirth = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
};

/** The end of a guarded server's log, for the error that says it did not start. */
export const logTail = (directory: string): string => {
  try {
    return readFileSync(`${directory}/server.log`, 'utf8').slice(-2_000);
  } catch {
    return '(no log)';
  }
};

/** Starts it; returns at once. `stop` is idempotent and resolves when the server has ended and its folder is gone. */
export const startGuarded = (settings: GuardedProcess): { pid: number; stop: () => Promise<void> } => {
  const { command, ownerPid, directory, stopSignal, runAs, environment } = settings;
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      guard,
      'gantry-test-guard',
      String(ownerPid),
      processBirth(ownerPid),
      directory,
      stopSignal,
      ...command,
    ],
    { stdio: 'ignore', detached: true, cwd: '/', env: { ...process.env, ...environment }, ...runAs },
  );
  const done = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // The guard must not keep a test worker alive.
  child.unref();
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      child.ref();
      await done;
    },
  };
};
