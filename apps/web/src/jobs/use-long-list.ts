/**
 * A list of any length that scrolls. A browser draws nothing below some 30 million pixels, and each line that can be scrolled to costs
 * memory; so only a window of lines lies in what scrolls, and moves along the list:
 *
 *   a small step     scrolls in the window; near one of its ends, the window is put around where one is
 *   a far step       somebody pulls the bar: its place in the bar is the place in the list
 *   going to a line  puts the window around it, if it is not in it
 *   following        keeps the window at the end
 */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useCallback, useLayoutEffect, useReducer, useRef, type RefObject, type UIEvent } from 'react';

const LINE_HEIGHT = 19;
/** Lines in the window. */
const WINDOW = 50_000;
/** So near its ends it is moved. */
const EDGE = 500;
/** Screens that no wheel and no key goes at once. */
const FAR = 1.5;

/** Where the view is to be after the next drawing. */
interface Aim {
  index: number;
  align: 'start' | 'center';
  /** Pixels further down. */
  more: number;
}

/** `total` lines in the element `scroller`; `follow`: at the end. */
export const useLongList = (total: number, scroller: RefObject<HTMLDivElement | null>, follow: boolean) => {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const count = Math.min(total, WINDOW);
  const place = useRef({ first: 0, before: 0, ours: -1, aim: null as Aim | null });
  const { current: now } = place;
  const clamp = (first: number) => Math.max(0, Math.min(Math.round(first), total - count));
  now.first = follow ? total - count : clamp(now.first);
  const { first } = now;
  const getItemKey = useCallback((index: number) => first + index, [first]);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 24,
    getItemKey,
  });
  const height = virtual.getTotalSize();
  const scrollTo = useCallback(
    (top: number) => {
      if (!scroller.current) return;
      scroller.current.scrollTop = top;
      place.current.before = place.current.ours = scroller.current.scrollTop;
    },
    [scroller],
  );
  // Not scrollToIndex: that goes on correcting itself for a while, against the hand of who scrolls up.
  useLayoutEffect(() => {
    if (follow) scrollTo(height);
  }, [follow, height, first, scrollTo]);
  useLayoutEffect(() => {
    const { aim } = now;
    if (follow || !aim || aim.index < first || aim.index >= first + count) return;
    now.aim = null;
    scrollTo((virtual.getOffsetForIndex(aim.index - first, aim.align)?.[0] ?? 0) + aim.more);
  });
  const moveTo = (to: number) => {
    now.first = clamp(to);
    draw();
  };
  const latest = useRef(moveTo);
  latest.current = moveTo;
  /** Goes to a line, as soon as it is there. */
  const goTo = useCallback(
    (index: number) => {
      const { current } = place;
      current.aim = { index, align: 'center', more: 0 };
      const inside = index >= current.first + EDGE && index < current.first + WINDOW - EDGE;
      latest.current(inside ? current.first : index - WINDOW / 2);
    },
    [place],
  );
  const onScroll = ({ currentTarget }: UIEvent<HTMLElement>) => {
    const { scrollTop, scrollHeight, clientHeight } = currentTarget;
    const step = scrollTop - now.before;
    now.before = scrollTop;
    if (scrollTop === now.ours || follow || total === count) return;
    now.ours = -1;
    const top = virtual.getVirtualItemForOffset(scrollTop)?.index ?? 0;
    if (Math.abs(step) > clientHeight * FAR) {
      const bar = scrollTop / (scrollHeight - clientHeight);
      return moveTo(bar * (total - clientHeight / LINE_HEIGHT) - top);
    }
    if (top >= EDGE ? top < count - EDGE || first + count === total : first === 0) return;
    const more = scrollTop - (virtual.getOffsetForIndex(top, 'start')?.[0] ?? scrollTop);
    now.aim = { index: first + top, align: 'start', more };
    moveTo(first + top - count / 2);
  };
  return {
    /** What is in view and a little more; `index` in the list, `own` in the window. */
    items: virtual
      .getVirtualItems()
      .map(({ key, index, start }) => ({ key, start, own: index, index: first + index })),
    height,
    measure: virtual.measureElement,
    measureAnew: virtual.measure,
    goTo,
    onScroll,
  };
};
