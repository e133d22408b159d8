// Small charts, drawn as SVG: lines over time, with a readout under the pointer.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { duration } from "./format.js";

const HEIGHT = 132;
const TOP = 10;
const BOTTOM = 20;
const LEFT = 46;
const RIGHT = 8;
const SPARK_WIDTH = 88;
const SPARK_HEIGHT = 22;

// What the top of an axis may be, each with a half that is as round: times a power of ten, or in
// seconds.
const ROUND = [1, 2, 4, 6, 10];
const ROUND_S = [60, 120, 240, 600, 1200, 3600, 7200, 14_400, 43_200, 86_400, 172_800];

// A round number that is no less than the greatest value, of a kind: "whole" numbers, "seconds", or
// any others.
export function ceiling(value, kind) {
  if (value <= 0) return kind === "whole" ? 2 : 1;
  const long = kind === "seconds" && value > ROUND_S[0] / 2 ? ROUND_S.find((each) => each >= value) : undefined;
  if (long) return long;
  const power = 10 ** Math.floor(Math.log10(value));
  const top = ROUND.map((step) => step * power).find((step) => step >= value * 0.999);
  return kind === "whole" ? Math.max(2, top) : top;
}

// `series`: [{name, tone, values}], one value for each of `times` (ms); a value that is NaN is
// missing, and so is what was between two times that lie further apart than `gapMs`. `format` writes
// a value, and `brief` one of the axis; `kind` is as for `ceiling`.
export function Chart({ title, times, series, format, brief = format, kind = "", gapMs = Infinity, empty = "Nothing has been seen yet." }) {
  const box = useRef(null);
  const [width, setWidth] = useState(360);
  const [at, setAt] = useState(null);
  const [byKeys, setByKeys] = useState(false);
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.max(200, entry.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => setAt((old) => (old !== null && old >= times.length ? null : old)), [times.length]);

  const last = times.length - 1;
  const top = ceiling(Math.max(0, ...series.flatMap((each) => each.values.filter(Number.isFinite))), kind);
  const x = (i) => LEFT + ((times[i] - times[0]) / Math.max(1, times[last] - times[0])) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const shown = at ?? last;

  const told = (value) => (Number.isFinite(value) ? format(value) : "–");
  const point = (event) => {
    const left = box.current.getBoundingClientRect().left;
    let nearest = 0;
    for (let i = 0; i <= last; i += 1) {
      if (Math.abs(x(i) - (event.clientX - left)) < Math.abs(x(nearest) - (event.clientX - left))) nearest = i;
    }
    setAt(last >= 0 ? nearest : null);
    setByKeys(false);
  };
  const leave = () => {
    setAt(null);
    setByKeys(false);
  };
  const step = (event) => {
    const to = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") leave();
    if (to === undefined || last < 0) return;
    event.preventDefault();
    setAt(Math.min(last, Math.max(0, to)));
    setByKeys(true);
  };
  const when = at === null || at === last ? "now" : `${duration((times[last] - times[at]) / 1000)} ago`;
  const spoken = last >= 0 ? series.map((each) => `${each.name} ${told(each.values[shown])}`).join(", ") : empty;

  return html`<figure class="chart">
    <figcaption>
      <span class="chart-title">${title}</span>
      <span class="legend">
        ${series.map((each) => html`<span class="legend-item">
          <i class="swatch tone-${each.tone}"></i>${each.name} <b class="num">${told(each.values[shown])}</b>
        </span>`)}
      </span>
    </figcaption>
    <div class="chart-box" ref=${box}>
      ${last < 1
        ? html`<p class="chart-empty">${last < 0 ? empty : "Drawn from the second look on …"}</p>`
        : html`<svg class="plot" height=${HEIGHT} width=${width} role="img" tabindex="0" aria-label="${title}: ${spoken}. Arrow keys tell of earlier moments."
            onPointerMove=${point} onPointerDown=${point} onPointerLeave=${leave} onKeyDown=${step} onBlur=${leave}>
            ${[0, 0.5, 1].map((share) => html`
              <line class="grid" x1=${LEFT} x2=${width - RIGHT} y1=${y(top * share)} y2=${y(top * share)} />
              <text class="tick" x=${LEFT - 6} y=${y(top * share) + 4} text-anchor="end">${brief(top * share)}</text>`)}
            ${at === null && html`<text class="tick" x=${LEFT} y=${HEIGHT - 4}>${duration((times[last] - times[0]) / 1000)} ago</text>
              <text class="tick" x=${width - RIGHT} y=${HEIGHT - 4} text-anchor="end">now</text>`}
            ${series.map((each) => html`<path class="line stroke-${each.tone}" d=${path(each.values, x, y, (i) => times[i] - times[i - 1] > gapMs)} />`)}
            ${at !== null && html`<line class="pointer" x1=${x(at)} x2=${x(at)} y1=${TOP} y2=${HEIGHT - BOTTOM} />
              <text class="tick" x=${Math.min(width - 40, Math.max(LEFT + 40, x(at)))} y=${HEIGHT - 4} text-anchor="middle">
                ${when}</text>
              ${series.map((each) => Number.isFinite(each.values[at]) && html`<circle class="fill-${each.tone}" cx=${x(at)} cy=${y(each.values[at])} r="3.5" />`)}`}
          </svg>`}
      <span class="hidden" role="status">${byKeys && at !== null ? `${when}: ${spoken}` : ""}</span>
    </div>
  </figure>`;
}

// A line through values; where one is missing, or `isGap` says that something is before it, there
// is none. One that stands alone is a dot.
export function path(values, x, y, isGap = (i) => false) {
  let text = "";
  let isDrawing = false;
  values.forEach((value, i) => {
    const isThere = Number.isFinite(value);
    const place = isThere ? `${x(i).toFixed(1)} ${y(value).toFixed(1)}` : "";
    if (isThere) text += isDrawing && !isGap(i) ? `L${place}` : `M${place}h0`;
    isDrawing = isThere;
  });
  return text;
}

// A line without axes, for a row of a table; it says nothing that the row does not say in figures.
export function Sparkline({ values, tone = "accent" }) {
  if (values.length < 2) return html`<svg class="spark" width=${SPARK_WIDTH} height=${SPARK_HEIGHT} aria-hidden="true" />`;
  // What stays the same is a line in the middle rather than a block.
  const top = Math.max(...values, 1e-9) * 1.6;
  const x = (i) => (i / (values.length - 1)) * (SPARK_WIDTH - 4) + 2;
  const y = (value) => SPARK_HEIGHT - 3 - (value / top) * (SPARK_HEIGHT - 6);
  const line = path(values, x, y);
  return html`<svg class="spark" width=${SPARK_WIDTH} height=${SPARK_HEIGHT} aria-hidden="true">
    <path class="spark-area fill-${tone}" d=${`${line}L${x(values.length - 1)} ${SPARK_HEIGHT}L${x(0)} ${SPARK_HEIGHT}Z`} />
    <path class="line stroke-${tone}" d=${line} />
  </svg>`;
}
