"""Who calls, who may, and tokens, in the console of a q that asks."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from qmq.server import token_file
from tests.acceptance.rest import JSON, rest
from tests.acceptance.running import RunningQ
from tests.console.browser import window
from tests.console.conftest import Open
from tests.console.scene import HOSTILE
from tests.console.test_pages import LOOKS, shown
from tests.console.test_stories import dialog, press

ACCESS: Final = """
[[identity]]
name = "root"
rights = [{ queues = "*", may = ["admin"] }]

[[identity]]
name = "worker"
rights = [
  { queues = "orders*", may = ["produce", "browse"] },
  { selector = "team=shop", may = ["consume"] },
]
calls_per_second = 1000
certificates = ["CN=<b>worker</b>,O=Example"]
"""

#: What root makes before anybody looks: among others a redrive that takes longer than any test.
MADE: Final[tuple[tuple[str, str, object], ...]] = (
    ("POST", "/v1/queues", {"name": "orders", "store": "MEMORY"}),
    ("POST", "/v1/queues", {"name": "other", "store": "MEMORY"}),
    ("PUT", "/v1/queues/orders/schedules/hourly", {"interval": "3600s"}),
    ("PATCH", "/v1/queues/other", {"settings": {"dead_letter_queue_id": "orders"}}),
    ("POST", "/v1/queues/orders/messages:batch", {"messages": [{}] * 9}),
    (
        "POST",
        "/v1/queues/orders/redrives",
        {"target_queue_id": "other", "messages_per_second": 0.001},
    ),
)

SOON: Final = timedelta(days=3)


class Asking(NamedTuple):
    """A q that asks who calls, and tokens of two who may."""

    q: RunningQ
    root: str
    worker: str


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """One with a queue, in whose access file a note is hostile, and a token ends soon."""
    directory = tmp_path_factory.mktemp("asking")
    path = directory / "access.toml"
    path.write_text(ACCESS)

    def made(name: str, note: str, ends: timedelta | None = None) -> str:
        expires = datetime.now(UTC).replace(microsecond=0) + ends if ends else None
        return token_file.make(path, name, expires=expires, note=note, grants=[]).text

    asking = Asking(
        RunningQ(directory), made("root", "of the tests"), made("worker", HOSTILE, SOON)
    )
    made("worker", "a former one", -SOON)
    asking.q.start(f"--access={path}")
    headers = {**JSON, "authorization": f"Bearer {asking.root}"}
    for method, target, body in MADE:
        assert rest(asking.q.address, method, target, body, headers).status == 200
    yield asking
    asking.q.stop()


def sign_in(page: Page, token: str, path: str = "/console/") -> None:
    """Open a page as somebody."""
    page.goto(path)
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("header .who")).to_be_visible()


def status(asking: Asking, token: str) -> int:
    """Return what q answers to a token."""
    headers = {"authorization": f"Bearer {token}"}
    return rest(asking.q.address, "GET", "/v1/identity", headers=headers).status


@pytest.mark.parametrize(("width", "scheme", "rules"), LOOKS)
def test_page_can_be_read_and_used(
    asking: Asking, browser: Browser, width: int, scheme: str, rules: tuple[str, ...]
) -> None:
    """By everybody; and what is hostile in a note or a name of a certificate stays text."""
    with window(browser, asking.q.address, width=width, scheme=scheme) as watched:
        page = watched.page
        sign_in(page, asking.root, "/console/#/access")
        shown(page, "not since q started")
        expect(page.get_by_text("onerror")).to_be_visible()
        expect(page.get_by_text("<b>worker</b>")).to_be_visible()
        expect(page.get_by_text("expired")).to_be_visible()
        expect(page.get_by_text(re.compile("^in 2 d"))).to_be_visible()
        watched.keep_picture(f"access-{width}-{scheme}", whole=True)
        faults = [*watched.violations(*rules)]
        page.get_by_role("button", name="Make a token for worker").click()
        dialog(page, "A token for worker")
        watched.keep_picture(f"access-make-{width}-{scheme}")
        faults += watched.violations(*rules)

        assert not faults
        assert watched.overflow() <= 0
        assert page.locator("img, script:not([src])").count() == 0
        assert not watched.complaints


def test_a_token_is_made_shown_once_and_revoked(asking: Asking, browser: Browser) -> None:
    """It counts from the moment that it is shown, and no more from the other."""
    with window(browser, asking.q.address) as watched:
        page = watched.page
        sign_in(page, asking.root)
        page.get_by_role("link", name="Access").click()
        page.get_by_role("button", name="Make a token for worker").click()
        page.get_by_label("Holds for").fill("ten days")
        press(page, "Make it")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("is no duration")
        page.get_by_label("Holds for").fill("12h")
        page.get_by_label("Note").fill("by hand")
        press(page, "Make it")
        dialog(page, "The token for worker")
        text = page.get_by_label("The token", exact=True).inner_text()
        # It does not go away by a slip of the hand.
        page.keyboard.press("Escape")
        page.mouse.click(2, 2)
        dialog(page, "The token for worker")
        watched.keep_picture("access-made")
        assert not watched.violations()
        assert status(asking, text) == 200
        press(page, "I have it")
        expect(page.get_by_role("dialog")).to_have_count(0)
        row = page.get_by_role("row").filter(has_text="by hand")
        expect(row).to_be_visible()
        assert text.split("_")[2] not in page.content()

        row.get_by_role("button", name=re.compile("^Revoke")).click()
        dialog(page, "Revoke a token")
        press(page, "Revoke it")
        expect(row).to_have_count(0)
        assert status(asking, text) == 401
        assert not watched.complaints


def test_revoking_one_s_own_token_is_asked_about_and_signs_out(
    asking: Asking, browser: Browser
) -> None:
    """The last one by which q can be administered stays."""
    with window(browser, asking.q.address) as watched:
        page = watched.page
        sign_in(page, asking.root, "/console/#/access")
        own = asking.root.split("_")[1]
        revoke = page.get_by_role("button", name=f"Revoke {own}")
        revoke.click()
        expect(page.get_by_text("by which you are signed in")).to_be_visible()
        press(page, "Revoke it and sign me out")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("make another one")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Make a token for root").click()
        press(page, "Make it")
        second = page.get_by_label("The token", exact=True).inner_text()
        press(page, "I have it")
        press(page, "Sign out", within="header")
        sign_in(page, second, "/console/#/access")
        page.get_by_role("button", name=f"Revoke {second.split('_')[1]}").click()
        press(page, "Revoke it and sign me out")
        expect(page.get_by_label("Token", exact=True)).to_be_visible()

        assert status(asking, second) == 401
        assert status(asking, asking.root) == 200
        assert not watched.complaints


def test_what_one_may_not_is_not_offered(asking: Asking, browser: Browser) -> None:
    """Each reason is told; who may not see others sees oneself."""
    with window(browser, asking.q.address) as watched:
        page = watched.page
        sign_in(page, asking.worker)
        expect(page.locator("header .who")).to_have_text("worker")
        expect(page.get_by_role("link", name="Access")).to_have_count(0)
        page.get_by_role("link", name="orders").click()
        purge = page.get_by_role("button", name="Purge")
        expect(purge).to_be_disabled()
        expect(purge).to_have_attribute("title", "You may not manage this queue")
        expect(page.get_by_role("button", name="Add a tag")).to_be_disabled()
        expect(page.get_by_role("button", name="Add a message")).to_be_enabled()
        watched.keep_picture("queue-of-worker")
        assert not watched.violations()
        page.get_by_role("link", name="Messages").click()
        expect(page.get_by_role("button", name="Lease by hand")).to_be_disabled()
        page.get_by_role("link", name="Settings").click()
        expect(page.get_by_label("Messages at most")).to_be_disabled()
        expect(page.get_by_label("Fair key", exact=True)).to_be_disabled()
        page.locator("nav").get_by_role("link", name="Schedules").first.click()
        for name in ("Pause hourly", "Edit", "Delete hourly"):
            expect(page.get_by_role("button", name=name)).to_be_disabled()
        page.get_by_role("link", name="Dead letters").click()
        expect(page.get_by_role("button", name="Stop")).to_be_disabled()
        page.locator("header .who").click()
        expect(page.get_by_text("add messages and look on queues named orders*")).to_be_visible()
        expect(page.get_by_text("1,000 calls a second")).to_be_visible()
        expect(page.get_by_text("Others are shown to those")).to_be_visible()

        assert not watched.complaints


@pytest.mark.parametrize("status", [404, 501])
def test_an_older_q_is_used_as_before(asking: Asking, browser: Browser, status: int) -> None:
    """One that does not know the call which tells who one is, or a qrest before such a q."""
    with window(browser, asking.q.address) as watched:
        page = watched.page
        page.route("**/v1/identity*", lambda route: route.fulfill(status=status, json={"code": 12}))
        page.goto("/console/")
        page.get_by_label("Token", exact=True).fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token", exact=True).fill(asking.worker)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="orders").click()
        expect(page.get_by_role("button", name="Purge")).to_be_enabled()
        assert page.locator("header .who").count() == 0

        assert not watched.complaints


def test_where_nobody_is_asked_all_is_as_it_was(open_window: Open) -> None:
    """There is nobody to show, and nothing is kept from anybody."""
    with open_window() as watched:
        page = watched.page
        page.goto("/console/#/access")
        shown(page, "asks nobody who they are")
        expect(page.get_by_role("link", name="Access")).to_have_count(0)
        assert page.locator("header .who").count() == 0
        page.goto("/console/")
        expect(page.get_by_role("button", name="New queue")).to_be_enabled()

        assert not watched.complaints
