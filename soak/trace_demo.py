"""Follow a message from the add to the ack, and draw the spans: what a trace of q looks like.

    make trace-demo

Starts a q that traces, a collector, and examples/traced.py, all on loopback; draws
docs/plots/trace.svg.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import qmq
from tests.acceptance.running import RunningQ, environment
from tests.observe.collector import Seen, collecting

_ROOT: Final = Path(__file__).parent.parent
_TARGET: Final = _ROOT / "docs" / "plots" / "trace.svg"

_LEFT, _WIDTH, _ROW, _TOP = 210, 700, 26, 46
_COLOURS: Final = {"shop": "#3b6fb6", "q": "#d1495b"}


def main() -> None:
    """Make the spans, and draw those of the first message."""
    with tempfile.TemporaryDirectory() as directory, collecting() as (collector, url):
        q = RunningQ(Path(directory))
        q.start(f"--traces-to={url}", "--traces-sample=0", OTEL_BSP_SCHEDULE_DELAY="50")
        try:
            with qmq.Client(q.address) as client:
                client.ensure_queue("orders")
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "QCLI_SERVER": q.address}
            subprocess.run(
                [sys.executable, _ROOT / "examples" / "traced.py", "orders"],
                env=environment(**variables),
                check=True,
                timeout=60,
            )
            spans = collector.wait_for(
                lambda spans: len([s for s in spans if s.name == "add orders"]) >= 4  # noqa: PLR2004 - Two of each side.
            )
        finally:
            q.stop()
    chosen = first_message(spans)
    _TARGET.write_text(drawn(chosen), encoding="utf-8")
    print(f"{_TARGET.relative_to(_ROOT)}: {len(chosen)} spans")


def first_message(spans: Sequence[Seen]) -> list[Seen]:
    """Return the two traces of one message: that of who added it, and that of who acked it."""
    [pack] = [span for span in spans if span.name == "pack"]
    linked = {link for span in spans if span.trace_id == pack.trace_id for link in span.links}
    traces = {pack.trace_id, *(trace for trace, _ in linked)}
    return [span for span in spans if span.trace_id in traces]


def drawn(spans: Sequence[Seen]) -> str:
    """Draw spans as bars over time, below their parents, with an arrow for each link."""
    begin, end = spans[0].start_ns, max(span.end_ns for span in spans)
    places = {span.link: at for at, span in enumerate(spans)}
    parents = {span.span_id: span.parent_id for span in spans}
    parts = []
    for at, span in enumerate(spans):
        x = _LEFT + (span.start_ns - begin) / (end - begin) * _WIDTH
        width = max(2.0, (span.end_ns - span.start_ns) / (end - begin) * _WIDTH)
        y = _TOP + at * _ROW
        took_ms = (span.end_ns - span.start_ns) / 1e6
        depth = _depth(span.span_id, parents)
        parts.append(
            f'<text x="{12 + depth * 14}" y="{y + 13}">{escape(span.name)}</text>'
            f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="14" rx="2"'
            f' fill="{_COLOURS[span.service]}"/>'
            f'<text x="{min(x + width + 5, _LEFT + _WIDTH + 5):.1f}" y="{y + 13}" font-size="11"'
            f' fill="#666">{took_ms:.1f} ms</text>'
        )
        for link in span.links:
            other = spans[places[link]]
            to_x = _LEFT + (other.start_ns - begin) / (end - begin) * _WIDTH + 6
            to_y = _TOP + places[link] * _ROW + 16
            parts.append(
                f'<path d="M {x:.1f} {y + 9} C {to_x - 40:.1f} {y + 9}, {to_x:.1f} {to_y + 30},'
                f' {to_x:.1f} {to_y + 4}" fill="none" stroke="#888" stroke-dasharray="4 3"'
                ' marker-end="url(#arrow)"/>'
            )
    height = _TOP + len(spans) * _ROW + 30
    legend = "".join(
        f'<rect x="{x}" y="12" width="14" height="14" rx="2" fill="{_COLOURS[service]}"/>'
        f'<text x="{x + 20}" y="24">{text}</text>'
        for x, service, text in ((12, "shop", "the program"), (130, "q", "q"))
    )
    foot = f"two traces, {(end - begin) / 1e6:.0f} ms; dashed: links to where a message was added"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 80} {height}"'
        ' font-family="sans-serif" font-size="13">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M 0 0 L 8 4 L 0 8 z" fill="#888"/></marker>'
        "</defs>"
        f'<rect width="100%" height="100%" fill="white"/>{legend}{"".join(parts)}'
        f'<text x="12" y="{height - 10}" fill="#666">{foot}</text></svg>\n'
    )


def _depth(span_id: str, parents: dict[str, str]) -> int:
    """Count the ancestors of a span, as far as they are there."""
    parent = parents.get(span_id)
    return 0 if not parent or parent not in parents else 1 + _depth(parent, parents)


if __name__ == "__main__":
    main()
