/** The plan of a relaunch, part by part: what is missing or changed first. */
import { Text } from '@mantine/core';
import { CircleCheck, CircleX, TriangleAlert } from 'lucide-react';
import type { RelaunchItem } from './relaunch.queries.js';

const looks = {
  MISSING: { icon: CircleX, color: 'red', word: 'Missing' },
  CHANGED: { icon: TriangleAlert, color: 'yellow', word: 'Changed' },
  IDENTICAL: { icon: CircleCheck, color: 'green', word: 'Identical' },
  UNKNOWN: { icon: TriangleAlert, color: 'gray', word: 'Unknown' },
} as const;
const order = Object.keys(looks);

/** The parts. */
export const RelaunchPlanList = ({ items }: { items: RelaunchItem[] }) => (
  <ul
    className="relaunch-plan"
    aria-label="What is identical, changed or missing"
    data-testid="relaunch-plan"
  >
    {[...items]
      .sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status))
      .map(({ part, name, status, message }) => {
        const { icon: Icon, color, word } = looks[status];
        return (
          <li key={`${part}.${name}`} data-status={status}>
            <Text span c={color} role="img" aria-label={word} title={word}>
              <Icon size={16} aria-hidden="true" />
            </Text>
            <Text span fz="sm">
              {message}
            </Text>
          </li>
        );
      })}
  </ul>
);
