/** CPU and memory of process trees, from /proc. What a process has waited for (`cutime`) counts: backends come and go. */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU in these, whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100;

interface Row {
  pid: number;
  parent: number;
  /** Its own and that of ended children it waited for. */
  ticks: number;
}

const readRow = (pid: number): Row | null => {
  try {
    // The name in brackets may hold anything, spaces and brackets too.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { pid, parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! };
  } catch {
    return null;
  }
};

/** A process and all below it. */
const treeOf = (root: number, rows: readonly Row[]): Row[] => {
  const own = rows.filter((row) => row.pid === root);
  return own.concat(...rows.filter((row) => row.parent === root).map((row) => treeOf(row.pid, rows)));
};

/** CPU seconds used so far by these processes and everything below them. One that is gone counts for nothing. */
export const cpuSeconds = (roots: Iterable<number>): number => {
  const rows = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readRow(Number(name)))
    .filter((row) => row !== null);
  let ticks = 0;
  for (const root of roots) for (const row of treeOf(root, rows)) ticks += row.ticks;
  return ticks / TICKS_PER_SECOND;
};

/** Resident memory of one process in MB (10^6 bytes); 0 if it is gone. */
export const residentMb = (pid: number): number => {
  try {
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    return (kib * 1_024) / 1e6;
  } catch {
    return 0;
  }
};

/** Memory of one process in MB that is its own: resident, but for what it maps from files (its program, which others map too). */
export const ownMb = (pid: number): number => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return ((kib('RssAnon') + kib('RssShmem')) * 1_024) / 1e6;
  } catch {
    return 0;
  }
};

/** Watches the resident memory of a process: the most that was seen, in MB, each 250 ms. */
export const watchMemory = (pid: number): { stop(): number } => {
  let most = residentMb(pid);
  const timer = setInterval(() => (most = Math.max(most, residentMb(pid))), 250);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.max(most, residentMb(pid));
    },
  };
};
