"""Each page, as wide as a desk and as narrow as a hand, light and dark: it can be read and used."""

import re
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser import NARROW, WIDE
from tests.console.conftest import Open
from tests.console.scene import Scene

#: How to come to each page: its address, with the ids of queues by name, and what is there when
#: all of it is.
PAGES: Final = {
    "overview": ("/console/", "Dead letters grow|Groups parked|Full"),
    "queue": ("/console/#/queues/{orders}", "Why is the first message not being delivered"),
    "queue-full": ("/console/#/queues/{billing.export}", "all that its limit allows"),
    "messages": ("/console/#/queues/{mail}/messages", "reader0@example.org"),
    "message": ("/console/#/queues/{mail}/messages?message={letter}", "Why is it not being"),
    "groups": ("/console/#/queues/{crawler}/groups", "parked"),
    "schedules": ("/console/#/queues/{reminders}/schedules", "weekly-digest"),
    "all-schedules": ("/console/#/schedules", "reconcile"),
    "settings": ("/console/#/queues/{mail}/settings", "After a failure"),
    "dead-letters": ("/console/#/dead-letters/{mail.dead}", "SMTPRecipientsRefused"),
    "server": ("/console/#/server", "Largest queues"),
    "no-such-queue": ("/console/#/queues/nothing", "That did not work"),
    "docs": ("/docs/", "Creates a queue"),
}

#: What axe looks for in each look at the pages: colours differ by the scheme, little else does.
LOOKS: Final = [
    (WIDE, "light", ()),
    (WIDE, "dark", ("color-contrast",)),
    (NARROW, "light", ("target-size", "scrollable-region-focusable")),
    (NARROW, "dark", ("color-contrast",)),
]


@pytest.fixture
def address_of(scene: Scene) -> Callable[[str], str]:
    """Tells the address of a page by its name."""
    found = scene.call("GET", "/v1/queues/mail/messages?page_size=1&states=LEASED")
    ids = {**scene.ids, "letter": found["messages"][0]["message"]["meta"]["id"]}

    def address(name: str) -> str:
        return re.sub(r"\{([\w.]+)\}", lambda match: ids[match[1]], PAGES[name][0])

    return address


def shown(page: Page, text: str) -> None:
    """Wait until a text is there that fits."""
    expect(page.get_by_text(re.compile(text)).first).to_be_visible()


@pytest.mark.parametrize(("width", "scheme", "rules"), LOOKS)
def test_pages_can_be_read_and_used(
    open_window: Open,
    address_of: Callable[[str], str],
    width: int,
    scheme: str,
    rules: tuple[str, ...],
) -> None:
    """By everybody: nothing sticks out, axe finds nothing serious, and nothing is complained of."""
    faults: list[str] = []
    with open_window(width=width, scheme=scheme) as watched:
        for name, (_, text) in PAGES.items():
            watched.page.goto(address_of(name))
            shown(watched.page, text)
            # Charts are drawn from the second look on.
            if name == "queue":
                watched.page.wait_for_selector("svg.plot .line")
            # One operation looks like the other.
            if name == "docs":
                watched.page.get_by_placeholder("Search").fill("NewQueue")
            # Of a dialog, what is behind it is of no interest.
            whole = name != "message"
            watched.keep_picture(f"{name}-{width}-{scheme}", whole=whole)
            found = [*watched.violations(*rules), *watched.complaints]
            if watched.overflow() > 0:
                found.append(f"{watched.overflow()} pixels stick out")
            faults += [f"{name}: {each}" for each in found]

    assert not faults, "\n".join(faults)


def test_hostile_text_stays_text(open_window: Open, scene: Scene) -> None:
    """Whatever somebody puts into payloads, tags, groups and names of consumers."""
    hostile = scene.ids["hostile"]
    with open_window() as watched:
        page = watched.page
        for path in ("", "/messages", "/groups", "/settings"):
            page.goto(f"/console/#/queues/{hostile}{path}")
            shown(page, "hostile")
            expect(page.get_by_text("onerror").first).to_be_visible()
        page.goto(f"/console/#/queues/{hostile}/messages")
        for message in page.get_by_role("button", name=re.compile("^Message ")).all():
            message.click()
            expect(page.locator("dialog pre")).to_contain_text("<img src=x")
            page.keyboard.press("Escape")
        page.goto("/console/#/?selector=k")
        shown(page, "hostile")

        assert page.locator("img, script:not([src])").count() == 0
        assert "broken" not in page.title()
        assert not watched.complaints
