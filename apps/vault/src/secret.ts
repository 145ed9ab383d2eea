/** A secret value that cannot get into a log line, a JSON document or an error by accident. */
import { inspect } from 'node:util';

const shown = '[secret]';

/** Wraps a secret; the only way to its text is `reveal`, which is easy to search for. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Call it where the text is used, never to pass it on. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
