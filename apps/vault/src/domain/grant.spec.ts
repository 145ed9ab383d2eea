import { credentialEvents } from '@gantry/contracts/credential';
import type { EventOf, NewEvent } from '@gantry/contracts/envelope';
import { givenFor } from '@gantry/testkit/given';
import { describe, expect, it } from 'vitest';
import {
  closeGrant,
  createGrant,
  evolveGrant,
  judgeRedemption,
  noGrant,
  recordRedemption,
  redemptionRefused,
  type Grant,
} from './grant.js';

type Event = EventOf<(typeof credentialEvents)[keyof typeof credentialEvents]>;
type Command =
  { create: { id: string; version: number }[] } | { redeem: string; proofHolds?: boolean } | 'close';

const id = { jobId: '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001', epoch: 1 };
const credentials = [{ id: '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f00c1', version: 1 }];
const eventId = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f00e1';
const event = (type: Event['type'], data: object): Event =>
  ({ type, version: 1, data: { ...id, ...data } }) as Event;
const created = event('grant.created', { credentials });
const redeemedWith = (thumbprint: string) => event('grant.redeemed', { thumbprint });
const refused = (reason: string, thumbprint: string) =>
  event('grant.redemption_refused', { reason, thumbprint });
const closed = event('grant.closed', {});

const decide = (grant: Grant, command: Command): Event[] => {
  const events = (): NewEvent[] => {
    if (command === 'close') return closeGrant(grant, { ...id, eventId });
    if ('create' in command) return createGrant(grant, { ...id, eventId, credentials: command.create });
    const outcome = judgeRedemption(grant, id, command.redeem, command.proofHolds ?? true);
    return recordRedemption(grant, id, command.redeem, outcome, eventId);
  };
  return events().map(({ type, version, data }) => ({ type, version, data }) as Event);
};
const given = givenFor<Grant, Command, Event>({ initial: noGrant, evolve: evolveGrant, decide });

describe('a grant', () => {
  it('is created once', () => {
    given([]).when({ create: credentials }).then([created]);
    given([created]).when({ create: credentials }).thenNothing();
  });
  it('is not changed by creating it with other credentials', () => {
    given([created]).when({ create: [] }).thenThrows('refused', 'grant_differs');
    given([created])
      .when({ create: [{ ...credentials[0]!, version: 2 }] })
      .thenThrows('refused', 'grant_differs');
  });
  it('is redeemed with a good proof', () =>
    given([created])
      .when({ redeem: 'one' })
      .then([redeemedWith('one')]));
  it('raises an alarm about a bad proof and stays open', () => {
    given([created])
      .when({ redeem: 'one', proofHolds: false })
      .then([refused('bad_proof', 'one')]);
    given([created, refused('bad_proof', 'one')])
      .when({ redeem: 'two' })
      .then([redeemedWith('two')]);
  });
  it('cannot be redeemed where there is none', () =>
    void given([]).when({ redeem: 'one' }).thenThrows('not_found'));
});

describe('a redeemed grant', () => {
  it('may be redeemed again with the same key, whose answer was lost', () =>
    given([created, redeemedWith('one')])
      .when({ redeem: 'one' })
      .thenNothing());
  it('refuses another key and raises an alarm', () =>
    given([created, redeemedWith('one')])
      .when({ redeem: 'two' })
      .then([refused('already_redeemed', 'two')]));
  it('asks for the proof again', () =>
    given([created, redeemedWith('one')])
      .when({ redeem: 'one', proofHolds: false })
      .then([refused('bad_proof', 'one')]));
  it('stops raising alarms after ten, not refusing', () => {
    const many = Array.from({ length: 10 }, () => refused('already_redeemed', 'two'));
    given([created, redeemedWith('one'), ...many])
      .when({ redeem: 'two' })
      .thenNothing();
    expect(judgeRedemption(given([created, redeemedWith('one'), ...many]).state(), id, 'two', true)).toEqual({
      redeemed: false,
      reason: 'already_redeemed',
    });
  });
});

describe('a closed grant', () => {
  it('is closed once', () => {
    given([created]).when('close').then([closed]);
    given([created, closed]).when('close').thenNothing();
  });
  it('refuses everybody, the key that redeemed it too', () =>
    given([created, redeemedWith('one'), closed])
      .when({ redeem: 'one' })
      .then([refused('closed', 'one')]));
  it('cannot be opened by a create that comes late', () => {
    given([]).when('close').then([closed]);
    given([closed]).when({ create: credentials }).thenThrows('refused', 'closed');
  });
});

describe('a refusal', () => {
  it('tells the pod why, by reason', () => {
    for (const reason of ['already_redeemed', 'closed', 'bad_proof'] as const) {
      expect(redemptionRefused(reason, id)).toMatchObject({ code: 'forbidden', details: { reason } });
    }
  });
});
