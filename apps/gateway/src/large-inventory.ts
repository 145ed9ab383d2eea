/** Creates inventories of any size: one that does not fit into a message is sent ahead in pieces. */
import { randomUUID } from 'node:crypto';
import type { InputOf, OutputOf } from '@gantry/contracts/command';
import { CreateInventory, STAGED_BYTES, StageInventory } from '@gantry/contracts/template';
import type { GraphqlContext } from './context.js';

/** Throws what `CreateInventory` and `StageInventory` throw. */
export const sendInventory = async (
  call: GraphqlContext['call'],
  input: InputOf<typeof CreateInventory>,
): Promise<OutputOf<typeof CreateInventory>> => {
  const { hosts, groups, ...settings } = input;
  const contents = Buffer.from(JSON.stringify({ hosts, groups }));
  if (contents.length <= STAGED_BYTES) return call(CreateInventory, input);
  const uploadId = randomUUID();
  const parts = Math.ceil(contents.length / STAGED_BYTES);
  for (let part = 0; part < parts; part++) {
    const data = contents.subarray(part * STAGED_BYTES, (part + 1) * STAGED_BYTES).toString('base64');
    await call(StageInventory, { organizationId: settings.organizationId, uploadId, part, data });
  }
  return call(CreateInventory, { ...settings, staged: { uploadId, parts } });
};
