import { describe, expect, it } from 'vitest';
import { filterIn, withFilter } from './event-filter.js';

const filter = (address: string) => filterIn(new URLSearchParams(address));

describe('the filter of events in the address', () => {
  it('is none for a bare address', () => {
    expect(filter('')).toEqual({});
  });

  it('is read whole', () => {
    expect(
      filter(
        'status=failed,ignored&kind=runner_on_failed&host=web1&task=Install&play=Web&text=no+space&changed=1',
      ),
    ).toEqual({
      statuses: ['FAILED', 'IGNORED'],
      events: ['runner_on_failed'],
      hosts: ['web1'],
      tasks: ['Install'],
      plays: ['Web'],
      text: 'no space',
      changedOnly: true,
    });
  });

  it('passes over what it does not know', () => {
    expect(filter('status=failed,melted&host=%20&changed=yes&theme=dark')).toEqual({ statuses: ['FAILED'] });
  });

  it('is set and taken out one by one', () => {
    const both = withFilter(withFilter(new URLSearchParams('host=a'), 'text', 'x'), 'host', 'b');
    expect(both.toString()).toBe('host=b&text=x');
    expect(withFilter(both, 'host', '').toString()).toBe('text=x');
  });
});
