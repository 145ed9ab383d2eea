import { Button } from '@mantine/core';
import { Compass } from 'lucide-react';
import { Link, useLocation } from 'react-router';
import { Empty } from './states.js';
import { useTitle } from './use-title.js';

/** An address that means nothing. */
export const NotFoundPage = () => {
  useTitle('Not found');
  const { pathname } = useLocation();
  return (
    <Empty
      icon={Compass}
      title="There is no such page"
      action={
        <Button component={Link} to="/jobs">
          Go to the jobs
        </Button>
      }
    >
      {`Nothing is at ${pathname}. The address may be mistyped.`}
    </Empty>
  );
};
