/** Launcher: fetching images to where pods run. */
import { z } from 'zod';

/**
 * How far a pull is, as the engine tells it. `bytes` and `bytesTotal` are those of the layers whose size it has told so far, null
 * where it tells none (Podman). Podman counts the image's configuration among the layers.
 */
export const PullProgress = z.object({
  layers: z.number().int(),
  layersDone: z.number().int(),
  bytes: z.number().nullable(),
  bytesTotal: z.number().nullable(),
});
/** How far a pull is. */
export type PullProgress = z.output<typeof PullProgress>;
