/**
 * What a person sees while set-up runs: one line a step, with the time it took. On a terminal the running steps turn
 * at the bottom; elsewhere each line is written once. Everything goes to stderr: stdout belongs to the command itself.
 */

/** @typedef {{ title: string, since: number, detail: string }} Running */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * A duration for people: `0.4 s`, `12 s`, `1 min 5 s`.
 * @param {number} ms
 */
export function elapsed(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The lines of a set-up. */
export class Progress {
  /** @param {NodeJS.WriteStream} [out] */
  constructor(out = process.stderr) {
    this.out = out;
    this.live = Boolean(out.isTTY) && process.env.TERM !== 'dumb' && !process.env.CI;
    this.color = Boolean(out.isTTY) && !process.env.NO_COLOR;
    /** @type {Set<Running>} */
    this.running = new Set();
    this.drawn = 0;
    this.frame = 0;
    /** @type {NodeJS.Timeout | undefined} */
    this.timer = undefined;
    this.spoke = false;
  }

  /**
   * @param {string} text
   * @param {number} code SGR colour
   */
  paint(text, code) {
    return this.color ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  /**
   * Write a line that stays.
   * @param {string} text
   */
  say(text) {
    this.erase();
    this.out.write(`${text}\n`);
    this.spoke = true;
    this.draw();
  }

  /**
   * Begin a step. Its line is finished by `done` or `failed`.
   * @param {string} title
   */
  begin(title) {
    /** @type {Running} */
    const step = { title, since: Date.now(), detail: '' };
    this.running.add(step);
    if (!this.live) this.say(`${this.paint('..', 2)} ${title}`);
    this.timer ??= this.live ? setInterval(() => this.redraw(), 100).unref() : undefined;
    return step;
  }

  /**
   * @param {Running} step
   * @param {string} [remark]
   */
  done(step, remark = '') {
    this.end(
      step,
      `${this.paint('ok', 32)} ${step.title}${remark ? ` (${remark})` : ''}  ${this.paint(elapsed(Date.now() - step.since), 2)}`,
    );
  }

  /**
   * @param {Running} step
   * @param {boolean} [stopped] it did nothing wrong, but another step failed
   */
  failed(step, stopped = false) {
    const time = elapsed(Date.now() - step.since);
    if (stopped)
      this.end(step, `${this.paint('--', 33)} ${step.title}  ${this.paint(`stopped after ${time}`, 2)}`);
    else this.end(step, `${this.paint('!!', 31)} ${step.title}  ${this.paint(`failed after ${time}`, 31)}`);
  }

  /**
   * @param {Running} step
   * @param {string} line
   */
  end(step, line) {
    this.running.delete(step);
    this.say(line);
    if (this.running.size === 0 && this.timer) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
  }

  /** Take the turning lines off the terminal. */
  erase() {
    if (this.drawn > 0) this.out.write(`\u001b[${this.drawn}A\u001b[J`);
    this.drawn = 0;
  }

  draw() {
    if (!this.live) return;
    const width = (this.out.columns || 80) - 1;
    for (const step of this.running) {
      const text = `${FRAMES[this.frame % FRAMES.length]}  ${step.title}  ${elapsed(Date.now() - step.since)}  ${step.detail}`;
      this.out.write(`${text.slice(0, width)}\n`);
      this.drawn += 1;
    }
  }

  redraw() {
    this.frame += 1;
    this.erase();
    this.draw();
  }
}
