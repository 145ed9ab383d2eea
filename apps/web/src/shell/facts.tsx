/** A list of names with what they stand for. */
import { Text } from '@mantine/core';
import type { ReactNode } from 'react';

/** A name and its value. */
export type Fact = readonly [name: string, value: ReactNode];

const isEmpty = (value: ReactNode): boolean =>
  value === null || value === undefined || value === '' || value === false;

/** One line a fact, in order; a dash where there is no value. */
export const Facts = ({ rows, testId }: { rows: readonly Fact[]; testId?: string }) => (
  <dl className="facts" data-testid={testId}>
    {rows.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>
          {isEmpty(value) ? (
            <Text span c="dimmed">
              –
            </Text>
          ) : (
            value
          )}
        </dd>
      </div>
    ))}
  </dl>
);
