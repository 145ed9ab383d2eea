/** What a case of the bench reports, and how it is shown: a table for people, one array for programs, Markdown for docs. */
import { paint, table } from '../terminal.js';

/** The figures a case may have. Times in the unit of the name; CPU is Gantry's, Postgres's and nats-server's, never the load's. */
export interface Figures {
  events?: number;
  seconds?: number;
  eventsPerSecond?: number;
  cpuSecondsPer1000Events?: number;
  bytesPerEvent?: number;
  p50Ms?: number;
  p99Ms?: number;
  maxMs?: number;
  rssMb?: number;
  lost?: number;
  duplicated?: number;
}

/** What a case reports to programs (`--json`). */
export interface CaseResult extends Figures {
  case: string;
  /** The same figures of what it is compared with, in the same run. */
  reference?: Figures;
  /** Of the case to its reference, of the figure that `what` of the report names first. */
  ratio?: number;
}

/** A budget that a case was held against. */
export interface Bound {
  what: string;
  value: number;
  bound: number;
  /** `most`: the value may be at most the bound; `least`: at least. */
  kind: 'most' | 'least';
}

/** A case's result with what people want to know besides. */
export interface Report extends CaseResult {
  /** One line: what was measured, beside what. */
  what: string;
  bounds: Bound[];
}

/** At most this. */
export const most = (what: string, value: number, bound: number): Bound => ({
  what,
  value,
  bound,
  kind: 'most',
});
/** At least this. */
export const least = (what: string, value: number, bound: number): Bound => ({
  what,
  value,
  bound,
  kind: 'least',
});

/** Whether the bound is kept. */
export const isKept = ({ value, bound, kind }: Bound): boolean =>
  kind === 'most' ? value <= bound : value >= bound;

const keys = [
  'events',
  'seconds',
  'eventsPerSecond',
  'cpuSecondsPer1000Events',
  'bytesPerEvent',
  'p50Ms',
  'p99Ms',
  'maxMs',
  'rssMb',
  'lost',
  'duplicated',
] as const satisfies (keyof Figures)[];

const heads: Record<(typeof keys)[number], string> = {
  events: 'events',
  seconds: 's',
  eventsPerSecond: 'events/s',
  cpuSecondsPer1000Events: 'CPU s/1,000',
  bytesPerEvent: 'bytes/event',
  p50Ms: 'p50 ms',
  p99Ms: 'p99 ms',
  maxMs: 'max ms',
  rssMb: 'MB',
  lost: 'lost',
  duplicated: 'twice',
};

/** Four digits that matter. */
export const rounded = (value: number): number => {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value;
  return Number(value.toPrecision(4));
};

const figuresOf = (figures: Figures): Figures =>
  Object.fromEntries(
    keys.filter((key) => figures[key] !== undefined).map((key) => [key, rounded(figures[key]!)]),
  );

/** The array that `--json` prints: the contract's keys and no others. */
export const forPrograms = (reports: readonly Report[]): CaseResult[] =>
  reports.map((report) => ({
    case: report.case,
    ...figuresOf(report),
    ...(report.reference && { reference: figuresOf(report.reference) }),
    ...(report.ratio !== undefined && { ratio: rounded(report.ratio) }),
  }));

const shown = (value: number | undefined): string =>
  value === undefined ? '' : value >= 1_000 ? Math.round(value).toLocaleString('en') : String(rounded(value));

const rowsOf = (reports: readonly Report[], used: readonly (typeof keys)[number][]): string[][] =>
  reports.flatMap((report) => {
    const row = (name: string, figures: Figures, ratio: string) => [
      name,
      ...used.map((key) => shown(figures[key])),
      ratio,
    ];
    const own = row(report.case, report, report.ratio === undefined ? '' : `${rounded(report.ratio)}`);
    return report.reference ? [own, row('  beside', report.reference, '')] : [own];
  });

const boundText = (bound: Bound): string =>
  `${bound.what}: ${shown(bound.value)}, ${bound.kind === 'most' ? 'at most' : 'at least'} ${shown(bound.bound)}`;

/** For a terminal: the columns that have a figure, what each case is, and the budgets. */
export const forPeople = (reports: readonly Report[]): string => {
  const used = keys.filter((key) => reports.some((report) => hasFigure(report, key)));
  const figures = table(['case', ...used.map((key) => heads[key]), 'ratio'], rowsOf(reports, used));
  const what = reports.map((report) => `  ${report.case}: ${report.what}`).join('\n');
  const bounds = reports
    .flatMap((report) => report.bounds)
    .map((bound) => `  ${isKept(bound) ? paint.green('kept  ') : paint.red('missed')} ${boundText(bound)}`)
    .join('\n');
  return `\n${figures}\n\n${what}\n${bounds ? `\n${bounds}\n` : ''}`;
};

/** For docs/: the same as two tables. */
export const forMarkdown = (reports: readonly Report[]): string => {
  const used = keys.filter((key) => reports.some((report) => hasFigure(report, key)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.trim()).join(' | ')} |`;
  const rule = (count: number): string => `|${'---|'.repeat(count)}`;
  return [
    line(['case', ...used.map((key) => heads[key]), 'ratio']),
    rule(used.length + 2),
    ...rowsOf(reports, used).map(line),
    '',
    line(['budget', 'figure', 'bound', '']),
    rule(4),
    ...reports
      .flatMap((report) => report.bounds)
      .map((bound) =>
        line([
          bound.what,
          shown(bound.value),
          `${bound.kind === 'most' ? '≤' : '≥'} ${shown(bound.bound)}`,
          isKept(bound) ? 'kept' : '**missed**',
        ]),
      ),
  ].join('\n');
};

const hasFigure = (report: Report, key: keyof Figures): boolean =>
  report[key] !== undefined || report.reference?.[key] !== undefined;
