/** `GET /api/images/<digest>/sbom`: the contents of an image as a file. */
import { PlatformError } from '@gantry/contracts/errors';
import { GetImageContents, ImageDigest } from '@gantry/contracts/image';
import type { Request, Response } from 'express';
import type { GraphqlContext } from './context.js';
import { SBOM_TYPE, sbomOf } from './sbom.js';

/** Throws `invalid`, `not_found`; `refused` when nobody has looked into the image. */
export const downloadSbom = async ({ call }: GraphqlContext, req: Request, res: Response): Promise<void> => {
  const digest = ImageDigest.safeParse(req.params['digest']);
  if (!digest.success)
    throw new PlatformError(
      'invalid',
      'This is not the digest of an image: write sha256: and its 64 hexadecimal digits.',
    );
  const document = sbomOf(await call(GetImageContents, { digest: digest.data }));
  const name = `image-${digest.data.replace(/^.*:/, '').slice(0, 12)}.cdx.json`;
  res.writeHead(200, {
    'Content-Type': SBOM_TYPE,
    'Content-Length': Buffer.byteLength(document),
    'Content-Disposition': `attachment; filename="${name}"`,
    'Cache-Control': 'no-store',
  });
  res.end(document);
};
