"""The page Server: while all is well, while a disk is full, and while a leader changes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import qmq
from tests.acceptance.running import RunningQ
from tests.acceptance.test_cluster import Pair, client_of
from tests.acceptance.test_full_disk import bound_files
from tests.console.browser import window
from tests.console.conftest import Open
from tests.console.scene import Scene
from tests.postgres.nodes import Node


def card(page: Page, title: str) -> str:
    """Return what a card says, once it is there."""
    found = page.locator("section.card").filter(has=page.get_by_role("heading", name=title)).first
    expect(found).to_be_visible()
    return found.inner_text()


def test_disk_memory_and_commits_are_shown(open_window: Open, scene: Scene) -> None:
    """With the largest queues; charts have what was before the page was opened."""
    del scene
    with open_window() as watched:
        page = watched.page
        page.goto("/console/#/server")

        assert re.search(r"takes changes[^$]*free of[^$]*Database[^$]*Log", card(page, "Disk"))
        assert "that messages may take" in card(page, "Memory")
        expect(page.get_by_role("img", name=re.compile("^Disk: .* free of "))).to_be_visible()
        chart = page.get_by_role("img", name=re.compile("^A commit takes: half .*, longest"))
        expect(chart).to_be_visible(timeout=30_000)
        expect(page.get_by_text("Largest queues")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^q .* alone, up for"))).to_be_visible()
        assert not watched.complaints


@pytest.fixture
def full_q(tmp_path: Path) -> Iterator[RunningQ]:
    """A q whose disk is full."""
    q = RunningQ(tmp_path)
    q.start()
    with qmq.Client(q.address, retry=qmq.Retry(duration=0)) as client:
        jobs = client.new_queue("jobs", store="DISK")
        bound_files(q, 1_000_000)
        with pytest.raises(qmq.DiskFull):
            _fill(jobs)
    yield q
    q.kill()


def _fill(queue: qmq.Queue[bytes | str]) -> None:
    while True:
        queue.add("x" * 100_000)


def test_what_warns_is_told_on_every_page(full_q: RunningQ, browser: Browser) -> None:
    """What to do about it stands on the page Server; it goes when there is room again."""
    with window(browser, full_q.address) as watched:
        page = watched.page
        page.goto("/console/")
        page.get_by_role("link", name="What to do about it").click()
        expect(page.get_by_role("link", name=re.compile("^Server 1 warning"))).to_be_visible()
        warning = page.get_by_role("list", name="What is worth a look").get_by_role("listitem")
        expect(warning).to_contain_text("DISK_FULL")
        expect(warning).to_contain_text("make room on the disk")
        assert "refuses changes" in card(page, "Disk")
        assert not watched.violations()

        bound_files(full_q, -1)
        expect(page.get_by_text("Nothing of the server needs a look")).to_be_visible(timeout=30_000)
        expect(page.get_by_role("link", name="Server", exact=True)).to_be_visible()


def test_a_takeover_while_the_page_is_open(
    tmp_path: Path, browser: Browser, database: str, primary: Node
) -> None:
    """What is old is said to be; then the other q tells, and since when it leads."""
    with primary.database() as name:
        pair = Pair(tmp_path, database, f"two={primary.dsn(name)}")
        try:
            pair.start()
            leader, follower = pair.roles()
            with client_of(follower) as client, window(browser, follower.address) as watched:
                client.new_queue("jobs").add("a message")
                page = watched.page
                page.goto("/console/#/server")
                nodes = page.get_by_role("region", name="Nodes").get_by_role("row")
                expect(nodes).to_have_count(3)
                expect(nodes.nth(1)).to_contain_text(re.compile(f"{leader.address}.*leads"))
                expect(nodes.nth(2)).to_contain_text(re.compile(f"{follower.address}.*follows"))
                for each in ("first", "two"):
                    assert "on one machine" in card(page, f"Database {each}")

                leader.kill()
                expect(page.get_by_text(re.compile("was so at"))).to_be_visible(timeout=20_000)
                expect(page.locator(".stale")).to_be_visible()
                taken = f"{follower.address} took over from {leader.address}"
                expect(page.get_by_text(taken)).to_be_visible(timeout=30_000)
                expect(page.locator(".stale")).to_have_count(0)
                expect(nodes).to_have_count(2, timeout=20_000)
                expect(nodes.nth(1)).to_contain_text(re.compile(f"{follower.address}.*leads"))
        finally:
            pair.close()


def test_a_q_of_an_earlier_version_does_not_tell(open_window: Open, scene: Scene) -> None:
    """The page says so, without alarm, and shows what the queues hold."""
    del scene
    # There is no such q to start: this is what qrest makes of its UNIMPLEMENTED.
    status = '{"code": 12, "message": "method /proto.Q/GetServer is not implemented"}'
    with open_window() as watched:
        page = watched.page
        page.route("**/v1/server", lambda route: route.fulfill(status=501, body=status))
        page.goto("/console/#/server")

        expect(page.get_by_text("This q does not tell how it does")).to_be_visible()
        expect(page.get_by_text("Largest queues")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_role("link", name="Server", exact=True)).to_be_visible()
