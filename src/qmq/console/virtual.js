// Of a long table, only the rows that can be seen are drawn.

import { useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const OVERSCAN = 8;
const NARROW = matchMedia("(max-width: 720px)");
// As the style sheet has them.
const ROW_HEIGHT = 41;
const ROW_HEIGHT_NARROW = 84;

// Which rows of a table, whose first row is at the top of `box`, the window shows: `first` up to,
// and without, `last`.
export function useVirtualRows(length) {
  const box = useRef(null);
  const [span, setSpan] = useState({ first: 0, last: 40 });
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  const rowHeight = isNarrow ? ROW_HEIGHT_NARROW : ROW_HEIGHT;

  const look = () => {
    if (!box.current) return;
    const top = box.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / rowHeight) - OVERSCAN);
    const last = Math.ceil((innerHeight - top) / rowHeight) + OVERSCAN;
    setSpan((old) => (old.first === first && old.last === last ? old : { first, last }));
  };
  useLayoutEffect(look, [length, rowHeight]);
  useEffect(() => {
    const narrow = (event) => setNarrow(event.matches);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    NARROW.addEventListener("change", narrow);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
      NARROW.removeEventListener("change", narrow);
    };
  }, [rowHeight]);
  const last = Math.min(length, span.last);
  return { box, first: Math.min(span.first, Math.max(0, last - 1)), last, rowHeight };
}
