/** Structured logs: one JSON object a line, or one readable line for a terminal. */
import type { LoggerService } from '@nestjs/common';
import { pino, type DestinationStream, type Logger } from 'pino';
import type { BaseConfig } from './config.js';
import { redact } from './redact.js';

export type { Logger };

/** The service's logger; every line says which service. Whatever sounds like a secret is not printed (`redact`). */
export const createLogger = (config: Pick<BaseConfig, 'service' | 'logLevel' | 'logFormat'>): Logger =>
  pino(
    {
      level: config.logLevel,
      base: { service: config.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (context) => redact(context) as Record<string, unknown>,
      },
      serializers: { err: (error: unknown) => error },
    },
    config.logFormat === 'pretty' ? prettyOutput() : pino.destination({ dest: 1, sync: true }),
  );

const prettyOutput = (): DestinationStream => ({
  write: (line) => {
    process.stdout.write(pretty(line));
  },
});

/** One readable line (and the stack of an error below it) of one JSON line. */
export const pretty = (line: string): string => {
  const { time, level, service, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const facts = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const error = err as { message?: string; stack?: string; cause?: { stack?: string } } | undefined;
  const head = [
    String(time).slice(11, 23),
    String(level).toUpperCase().padEnd(5),
    String(service).padEnd(9),
    msg,
    ...facts,
  ].join(' ');
  if (!error) return `${head}\n`;
  if (level !== 'error' && level !== 'fatal') return `${head}: ${error.message}\n`;
  return `${head}\n${[error.stack, error.cause?.stack].filter(Boolean).join('\ncaused by ')}\n`;
};

/** Nest's own lines, as ours: its chatter at start is debug. */
export const nestLogger = (logger: Logger): LoggerService => {
  const write =
    (level: 'debug' | 'warn' | 'error') =>
    (message: unknown, ...rest: unknown[]): void => {
      const context = rest.at(-1);
      const where = typeof context === 'string' ? { nest: context } : {};
      if (message instanceof Error) logger[level]({ ...where, err: message }, message.message);
      else logger[level](where, typeof message === 'string' ? message : JSON.stringify(message));
    };
  return {
    log: write('debug'),
    debug: write('debug'),
    verbose: write('debug'),
    warn: write('warn'),
    error: write('error'),
    fatal: write('error'),
  };
};
