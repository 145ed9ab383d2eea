/** Who is signed in, as far as this browser knows: a token, and why there is none. */
import { useSyncExternalStore } from 'react';

const KEY = 'gantry.token';

/** The state of signing in. */
export interface Session {
  /** The bearer token; null when nobody is signed in. */
  token: string | null;
  /** Why the last session ended, in the API's own words; null if the person signed out. */
  ended: string | null;
}

const stored = (): string | null => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);

let session: Session = { token: stored(), ended: null };
const listeners = new Set<() => void>();

const become = (next: Session): void => {
  session = next;
  for (const listener of listeners) listener();
};

/** The session as it is now. */
export const currentSession = (): Session => session;

/** Keeps a token that the API has accepted: for this tab, or in this browser until it is signed out. */
export const signIn = (token: string, keep: boolean): void => {
  (keep ? localStorage : sessionStorage).setItem(KEY, token);
  become({ token, ended: null });
};

/** Forgets the token. `reason` is shown on the sign-in page. */
export const signOut = (reason: string | null = null): void => {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  become({ token: null, ended: reason });
};

/** The session, followed by a component. */
export const useSession = (): Session =>
  useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, currentSession);
