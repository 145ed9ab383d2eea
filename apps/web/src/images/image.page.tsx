/** One image by its digest: its contents, or how they differ from another's. */
import { Anchor, Group } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { Copyable } from '../shell/copy.js';
import { shortHash } from '../shell/format.js';
import { Page } from '../shell/page.js';
import { ImageContents } from './contents.js';
import { Difference } from './difference.js';
import { imageQuery } from './image.queries.js';

/** Where the page of an image lies; with `from`: how it differs from that one. */
export const imagePath = (digest: string, from?: string): string =>
  from === undefined ? `/images/${digest}` : `/images/${digest}/compare/${from}`;

/** The page of an image. */
export const ImagePage = () => {
  const { digest = '', from } = useParams();
  const { data } = useQuery(imageQuery, { digest });
  const about = (
    <Group gap={8}>
      {data?.image?.executionEnvironments.map(({ id, name }) => (
        <Anchor key={id} component={Link} to={`/execution-environments/${id}`} fz="sm">
          {name}
        </Anchor>
      ))}
      <Copyable text={digest} short={shortHash(digest)} label="the digest" />
      {from && (
        <>
          compared with
          <Anchor component={Link} to={imagePath(from)} fz="sm">
            {shortHash(from)}
          </Anchor>
        </>
      )}
    </Group>
  );
  return (
    <Page title={data?.image?.references.at(-1) ?? 'Image'} about={about}>
      {from && <Difference from={from} to={digest} />}
      {!from && <ImageContents digest={digest} />}
    </Page>
  );
};
