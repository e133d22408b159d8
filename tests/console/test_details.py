"""What is easily broken and hardly noticed: charts, long and foreign names, files and commands."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.running import RunningQ, environment, program
from tests.console.browser import NARROW, window
from tests.console.conftest import Open
from tests.console.scene import Scene

#: A name in the way of a shell, and of markup.
GROUP: Final = 'it\'s "$HOME" & <b>'

#: Right to left, two bytes a character: wherever it is cut, it may be within one.
ARABIC: Final = "مرحبا " * 200


@pytest.fixture(scope="session")
def long_queue(scene: Scene) -> str:
    """A queue whose name, tags, groups, consumers and payloads are as long as they may be."""
    queue = scene.queue("n" * 80)
    scene.call("POST", f"/v1/queues/{queue}/tag", {"key": "k" * 100, "value": "v" * 200})
    scene.add(queue, ARABIC, "y" * 5000, group_id="g" * 128, fair_key="f" * 128, tags="a=1 a=2")
    scene.add(queue, bytes(range(256)), "\ufeff\x01text", group_id=GROUP, priority=7)
    scene.lease(queue, 1, "c" * 200, "3600s")
    return queue


@pytest.mark.parametrize("width", [NARROW, 1280])
def test_long_names_leave_room_for_what_is_beside_them(
    open_window: Open, long_queue: str, width: int
) -> None:
    """A tag can be taken off, figures stay in view, and a text is cut at a character."""
    with open_window(width=width) as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{long_queue}/messages")
        expect(page.get_by_text("مرحبا").first).to_be_visible()
        page.get_by_role("button", name=re.compile("^Remove the tag kkk")).click(trial=True)
        beyond = """each => each.getBoundingClientRect().right
            - each.closest('td').getBoundingClientRect().right"""
        assert page.locator(".cut").evaluate(beyond) <= 0
        page.goto(f"/console/#/queues/{long_queue}")
        for table in ("Consumers", "Fair keys with most messages"):
            region = page.get_by_role("region", name=table)
            assert region.evaluate("each => each.scrollWidth - each.clientWidth") <= 0

        assert watched.overflow() <= 0
        assert not watched.complaints


def test_messages_are_had_elsewhere_as_they_are_shown(
    open_window: Open, long_queue: str, tmp_path: Path
) -> None:
    """As a file that qcli would have written, and by the lines that are there to be copied."""
    with open_window() as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{long_queue}/messages")
        page.get_by_label("Group", exact=True).fill(GROUP)
        # What is not yet sent stays while the page goes on looking at the queue.
        for _ in range(2):
            page.wait_for_event("response", lambda reply: reply.url.endswith("/stats"))
        page.get_by_label("Group", exact=True).press("Enter")
        expect(page.get_by_role("button", name=re.compile("^Message "))).to_have_count(2)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save those shown as JSON lines").click()
        saved.value.save_as(tmp_path / "saved.jsonl")
        page.locator(".filters").get_by_role("button", name="As commands").click()
        by_qcli, by_curl = page.get_by_label("Command", exact=True).all_inner_texts()

        assert not watched.complaints

    path = os.pathsep.join((str(Path(program("qcli")).parent), os.environ["PATH"]))
    told = [run(by_qcli, path), (tmp_path / "saved.jsonl").read_text("utf-8")]
    from_qcli, from_file = ([lasting(line) for line in text.splitlines()] for text in told)
    from_curl = [
        each["message"]["meta"]["id"] for each in json.loads(run(by_curl, path))["messages"]
    ]
    assert saved.value.suggested_filename == "n" * 80 + ".jsonl"
    assert from_file == from_qcli
    assert [each["id"] for each in from_file] == from_curl
    assert from_file[0]["payload_base64"]
    assert from_file[1]["payload"] == "\ufeff\x01text"


def run(line: str, path: str) -> str:
    """Do what a line says that somebody has put into a shell."""
    done = subprocess.run(
        ("sh", "-c", line), check=True, capture_output=True, env=environment(PATH=path), timeout=60
    )
    return done.stdout.decode()


def lasting(line: str) -> dict[str, Any]:
    """Return what a line says that another look would say as well."""
    record = json.loads(line)
    return {name: value for name, value in record.items() if name not in {"age_s", "created"}}


def test_axes_are_named_by_round_figures(open_window: Open) -> None:
    """Their halves as well: nobody has two and a half messages, or reads 100 seconds as a time."""
    with open_window() as watched:
        watched.page.goto("/console/")
        tops = watched.page.evaluate("""async () => {
            const { ceiling } = await import("./chart.js");
            const of = (values, kind) => values.map((each) => ceiling(each, kind));
            const whole = of([0, 1, 3, 5, 7, 130], "whole");
            return [whole, of([0, 0.003, 41, 100, 700, 5000, 90000], "seconds"), of([0.25, 7])];
        }""")

    seconds = [1, 0.004, 60, 120, 1200, 7200, 172_800]
    assert tops == [[2, 2, 4, 6, 10, 200], pytest.approx(seconds), pytest.approx([0.4, 10])]


@pytest.fixture
def leaving_q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q that a test ends and starts again."""
    q = RunningQ(tmp_path)
    q.start()
    yield q
    q.stop()


def test_chart_has_a_gap_where_q_was_away(leaving_q: RunningQ, browser: Browser) -> None:
    """No line is drawn through what nobody has seen; keys tell of each moment, and of its time."""
    queue = Scene(leaving_q.address).queue("mail")
    with window(browser, leaving_q.address) as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{queue}")
        line = page.locator("svg.plot .line").first
        expect(line).to_have_attribute("d", re.compile("M.*L.*L"))
        leaving_q.kill()
        expect(page.get_by_role("alert").first).to_contain_text("q cannot be reached")
        # As long as a gap is at least.
        page.wait_for_timeout(5_000)
        leaving_q.start()
        expect(line).to_have_attribute("d", re.compile("M.*L.*M.*L"))
        chart = page.get_by_role("img", name=re.compile("^Messages:"))
        chart.focus()
        page.keyboard.press("Home")
        status = page.locator(".chart").first.get_by_role("status")
        expect(status).to_have_text(re.compile(r"\d s ago: ready 0, leased 0, delayed 0"))
        page.keyboard.press("Escape")
        expect(status).to_have_text("")

        assert not watched.complaints


def test_who_follows_a_link_by_keys_goes_on_in_the_new_page(open_window: Open) -> None:
    """And not at the top of all; hints and errors are read out with their fields."""
    with open_window() as watched:
        page = watched.page
        page.goto("/console/")
        page.get_by_role("link", name="orders", exact=True).press("Enter")
        expect(page.get_by_role("heading", name="orders", level=1)).to_be_visible()
        expect(page.locator("main")).to_be_focused()
        page.goto("/console/")
        page.get_by_role("button", name="New queue").click()
        expect(page.get_by_label("Limit")).to_have_accessible_description(
            "How many messages it holds at most; empty for no limit."
        )
