/** One line of output: its number and its text in colours. */
import { memo } from 'react';
import { segmentsOf } from './ansi.js';

interface Props {
  number: number;
  /** Undefined while it is fetched. */
  text: string | undefined;
  failed: boolean;
  current: boolean;
  needle: string;
  onNumber: (number: number) => void;
}

/** Text with the places marked that match; `needle` is in lower case. */
const Marked = ({ text, needle }: { text: string; needle: string }) => {
  const lower = text.toLowerCase();
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0 && parts.length < 200; at = lower.indexOf(needle, from)) {
    if (at > from) parts.push(text.slice(from, at));
    parts.push(<mark key={at}>{text.slice(at, at + needle.length)}</mark>);
    from = at + needle.length;
  }
  return (
    <>
      {parts}
      {text.slice(from)}
    </>
  );
};

/** The line. */
export const OutputLine = memo(({ number, text, failed, current, needle, onNumber }: Props) => (
  <div
    className={`out-line ${failed ? 'is-failed' : ''} ${current ? 'is-current' : ''}`}
    data-testid="job-output-line"
    data-line={number + 1}
  >
    <button
      type="button"
      className="out-number"
      tabIndex={-1}
      onClick={() => onNumber(number)}
      aria-label={`Line ${number + 1}`}
    >
      {number + 1}
    </button>
    <span className="out-text">
      {text === undefined ? (
        <span className="out-pending">·····</span>
      ) : (
        segmentsOf(text).map((segment, index) => (
          <span key={index} className={segment.className || undefined}>
            {needle ? <Marked text={segment.text} needle={needle} /> : segment.text}
          </span>
        ))
      )}
    </span>
  </div>
));
OutputLine.displayName = 'OutputLine';
