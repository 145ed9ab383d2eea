/** Following the end of something that grows, until its reader scrolls up. */
import { useRef, useState, type PointerEvent, type UIEvent, type WheelEvent } from 'react';

/** A step up that only a person makes. */
const BIG_STEP = 120;
/** A person's hand is on the wheel for this long after it was last seen there. */
const HAND_MILLISECONDS = 1_000;

/**
 * `handlers` go on the element that scrolls. Lines that are measured move the content a little too, so a small step up counts
 * only with a hand on wheel, keys, pointer or screen.
 */
export const useFollow = (initially: boolean) => {
  const [follow, setFollow] = useState(initially);
  const hand = useRef(-HAND_MILLISECONDS);
  const before = useRef(0);
  const wheelUp = useRef(false);
  const touched = () => {
    hand.current = performance.now();
  };
  const onScroll = (event: UIEvent<HTMLElement>) => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    const up = before.current - scrollTop;
    before.current = scrollTop;
    const byHand = performance.now() - hand.current < HAND_MILLISECONDS;
    if (up > BIG_STEP || (up > 1 && byHand)) setFollow(false);
    else if (byHand && up < 0 && !wheelUp.current && scrollHeight - scrollTop - clientHeight < 4)
      setFollow(true);
  };
  const handlers = {
    onScroll,
    onWheel: (event: WheelEvent) => {
      touched();
      wheelUp.current = event.deltaY < 0;
      // At once: between this and the scroll that follows, new lines may pull the view back down.
      if (wheelUp.current) setFollow(false);
    },
    onTouchMove: touched,
    onKeyDown: touched,
    onPointerDown: touched,
    onPointerMove: (event: PointerEvent) => {
      if (event.buttons > 0) touched();
    },
  };
  return { follow, setFollow, handlers };
};
