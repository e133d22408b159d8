"""The report shows what was measured, and README quotes the newest result and nothing else."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from suite import results
from suite.plot import Group, Row, dots
from suite.report import BEGIN, END, drawings, excerpt, page, publish, with_excerpt
from suite.scenarios import SYSTEMS, points
from tests.bench.measured import result, run
from tests.documents import ROOT


def test_readme_and_report_are_those_of_the_newest_result() -> None:
    """What is quoted was measured: `make bench-report` writes it."""
    path = results.newest(ROOT / "bench/results")

    files = publish(results.read(path) if path else None, ROOT)

    for file, text in files.items():
        assert file.read_text(encoding="utf-8") == text, f"make bench-report: {file}"


def test_result_is_quoted_between_the_markers(tmp_path: Path) -> None:
    """The rest of README stays, and the report and all plots that it names are written."""
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    files = publish(result(), tmp_path)

    readme = files[tmp_path / "README.md"]
    assert readme.startswith(f"before\n{BEGIN}\n`make bench`, on 2026-01-02")
    assert readme.endswith(f"\n{END}\nafter\n")
    assert "old" not in readme
    named = set(re.findall(r"\((plots/.*?\.svg)\)", files[tmp_path / "docs/performance-report.md"]))
    assert {f"docs/{each}" for each in named} == {
        str(path.relative_to(tmp_path)) for path in files if path.suffix == ".svg"
    }
    assert "docs/plots/rates-fsync.svg" in readme


def test_without_a_result_nothing_is_quoted() -> None:
    """The markers stay for the next one."""
    assert with_excerpt(f"a\n{BEGIN}\nold\n{END}\nb", "") == f"a\n{BEGIN}\n{END}\nb"


def test_readme_without_markers_is_refused() -> None:
    """Nothing is written to a place that nobody chose."""
    with pytest.raises(ValueError, match="README needs one"):
        with_excerpt("no markers", "text")


def test_excerpt_has_medians_and_says_who_is_missing() -> None:
    """A system that was not measured is named, with the reason in one line."""
    text = excerpt(result(), "docs/plots")

    assert "| Redis, appendfsync always | 2,200 | 2,200 | 2,200 | 2,200 | 2.0 ms |" in text
    assert "| NATS JetStream, sync_interval always | none |" in text
    assert "- nats-fsync was not measured: nats-server is not installed / anywhere" in text


def test_rows_compare_with_q_within_a_durability() -> None:
    """Median, lowest and highest, the ratio to q with its spread, and what the server took."""
    text = page(result(), "plots")

    row = next(
        line for line in text.splitlines() if line.startswith("| 64 in flight | add | Redis")
    )
    assert row == (
        "| 64 in flight | add | Redis, appendfsync always | 2,200 | 2,000 to 2,400"
        " | 0.50 (0.50 to 0.50) | 0.50 | 2.00 | 8.00 | 0.229 | 100 | 0.20, 20% |"
    )
    memory = text.index("In memory, gone with the process")
    assert "q, DISK" in text[:memory]
    assert "q, DISK" not in text[memory : text.index("## Batches")]


def test_without_q_there_is_nothing_to_compare_with() -> None:
    """A ratio to what was not measured is left out, not one."""
    found = result()
    found.of("q-fsync", points()[0]).runs.clear()

    assert "| Redis, appendfsync always | 2,200 | 2,000 to 2,400 |  |" in page(found, "plots")


def test_busy_generator_is_marked() -> None:
    """A figure that may be the generator's is no figure of the server."""
    found = result()
    found.of("q-fsync", points()[0]).runs[:] = [run(5_000, busy=0.95)]

    assert "| q, DISK | 5,000 † |" in page(found, "plots")


def test_what_failed_is_in_the_report() -> None:
    """With the reason, under the family that it belongs to."""
    found = result()
    (deep,) = (point for point in points() if point.depth == 1_000_000)
    series = found.of("beanstalkd-fsync", deep)
    series.runs.clear()
    series.failure = "it takes 300 s to fill"

    text = page(found, "plots")

    assert "- beanstalkd -f0, cycle, among 1,000,000, batches of 100" in text
    assert ": it takes 300 s to fill" in text


def test_plots_are_the_same_for_the_same_result_and_well_formed() -> None:
    """A plot changes only with its figures."""
    first, second = drawings(result()), drawings(result())

    assert first == second
    assert {*first} == {"rates-fsync", "rates-memory", "latency-fsync", "latency-memory"}
    for text in first.values():
        assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314
        assert len(text) < 10_000
        assert "prefers-color-scheme:dark" in text


def test_dots_stand_within_the_axis_and_text_is_escaped() -> None:
    """Powers of ten bound all values; marks of XML in a title are text."""
    text = dots("a < b & c", [Group("g", [Row("r", (12.0, 120.0, 900.0), "120", is_ours=True)])])

    assert "a &lt; b &amp; c" in text
    assert [*re.findall(r'class="m" x="([\d.]+)" y="\d+">([\d,]+)<', text)] == [
        ("250.0", "10"),
        ("440.0", "100"),
        ("630.0", "1,000"),
    ]
    (dot,) = re.findall(r'cx="([\d.]+)"', text)
    assert 440 < float(dot) < 630


def test_durabilities_have_a_system_of_q_first() -> None:
    """It is what the others are compared with."""
    firsts = {system.durability: system.server for system in reversed(SYSTEMS)}

    assert firsts == {"fsync": "q", "memory": "q"}
