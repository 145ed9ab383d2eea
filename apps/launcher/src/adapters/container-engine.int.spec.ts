import { describe, expect, it } from 'vitest';
import { eeImage, startEngine } from '../testing/engine.js';
import { podDriverContract } from '../testing/pod-driver-contract.js';
import { createContainerDriver } from './container-engine.js';

describe.skipIf(!eeImage)('a machine with an Execution Environment', () => {
  podDriverContract('a container engine', async () => {
    const engine = await startEngine();
    return {
      driver: createContainerDriver(engine.host),
      image: eeImage!,
      restart: engine.restart,
      close: engine.stop,
    };
  });
});

describe('an engine that is not there', () => {
  it('is unavailable, and says where it was looked for', async () => {
    const driver = createContainerDriver('unix:///nonexistent/engine.sock');
    await expect(driver.inspect('any')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('/nonexistent/engine.sock'),
    });
  });
});
