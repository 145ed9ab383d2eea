import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { startNats } from './nats.js';

describe('a nats-server', () => {
  it('keeps messages in JetStream, and is gone after stop', async () => {
    const server = await startNats();
    const connection = await connect({ servers: server.url, reconnect: false });
    await (await jetstreamManager(connection)).streams.add({ name: 'TEST', subjects: ['test.>'] });
    expect(await jetstream(connection).publish('test.one', 'x')).toMatchObject({ stream: 'TEST', seq: 1 });
    await connection.close();
    await server.stop();
    await expect(connect({ servers: server.url, reconnect: false, timeout: 1_000 })).rejects.toThrow();
  });

  it('takes more configuration', async () => {
    const server = await startNats({ config: 'authorization { token: "letmein" }' });
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow();
    await (await connect({ servers: server.url, token: 'letmein' })).close();
    await server.stop();
  });

  it('that cannot start says why', async () => {
    await expect(startNats({ config: 'no_such_setting: {' })).rejects.toThrow(/did not start/);
  });
});
