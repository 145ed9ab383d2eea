/** A token: issued once, revoked once. Stream `token-<id>`. Expiry is a date in the event, checked when the token is used. */
import type { EventOf } from '@gantry/contracts/envelope';
import { PlatformError } from '@gantry/contracts/errors';
import type { TokenIssued, TokenRevoked } from '@gantry/contracts/identity';

export type TokenEvent = EventOf<typeof TokenIssued | typeof TokenRevoked>;
export interface TokenState {
  userId: string;
  revoked: boolean;
}
export type TokenCommand =
  | {
      kind: 'issue';
      tokenId: string;
      userId: string;
      description: string;
      sha256: string;
      expiresAt: string | null;
    }
  | { kind: 'revoke'; tokenId: string };

/** Before the first event. */
export const initial: TokenState | null = null;

/** State after an event. */
export const evolve = (state: TokenState | null, event: TokenEvent): TokenState | null => {
  switch (event.type) {
    case 'token.issued':
      return { userId: event.data.userId, revoked: false };
    case 'token.revoked':
      return state && { ...state, revoked: true };
  }
};

/** Events that follow from a command. Throws `conflict` (issued twice), `not_found` (no such token). */
export const decide = (state: TokenState | null, command: TokenCommand): TokenEvent[] => {
  const { kind, ...data } = command;
  if (kind === 'issue') {
    if (state) throw new PlatformError('conflict', 'This token was issued before.');
    return [{ type: 'token.issued', version: 1, data: data as Extract<TokenCommand, { kind: 'issue' }> }];
  }
  if (!state) throw new PlatformError('not_found', `There is no token ${command.tokenId}.`);
  return state.revoked ? [] : [{ type: 'token.revoked', version: 1, data: { tokenId: command.tokenId } }];
};
