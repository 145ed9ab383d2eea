import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AddressText, baseConfig, readConfig } from './config.js';

const env = {
  GANTRY_VAULT_POSTGRES_URL: 'postgresql://gantry_vault:hunter22@localhost/gantry',
  GANTRY_NATS_URL: 'nats://127.0.0.1:4222',
  GANTRY_VAULT_HTTP: '127.0.0.1:4485',
};

describe('the environment of a service', () => {
  it('becomes its config', () => {
    expect(baseConfig('vault', env)).toMatchObject({
      service: 'vault',
      postgresUrl: env.GANTRY_VAULT_POSTGRES_URL,
      http: { host: '127.0.0.1', port: 4485 },
      logLevel: 'info',
      logFormat: 'json',
      lagAlarmSeconds: 30,
    });
  });

  it('names every variable that is missing or wrong, and no value', () => {
    const read = (): unknown =>
      baseConfig('vault', { ...env, GANTRY_NATS_URL: '', GANTRY_VAULT_HTTP: 'hunter22' });
    expect(read).toThrow(/GANTRY_NATS_URL: is needed; GANTRY_VAULT_HTTP: must look like 127\.0\.0\.1:4480/);
    expect(read).not.toThrow(/hunter22/);
  });

  it('has no database for the gateway', () => {
    expect(
      baseConfig('gateway', { GANTRY_NATS_URL: 'nats://x', GANTRY_GATEWAY_HTTP: '[::1]:80' }),
    ).toMatchObject({
      postgresUrl: null,
      http: { host: '::1', port: 80 },
    });
  });

  it('cannot be changed once read', () => {
    const config = readConfig(z.object({ A: AddressText }), { A: 'localhost:1' });
    expect(() => Object.assign(config, { A: null })).toThrow();
  });
});
