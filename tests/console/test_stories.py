"""What people come to the console for, done as they do it."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import qmq
from tests.acceptance.running import RunningQ, environment, program
from tests.console.browser import window
from tests.console.conftest import Open
from tests.console.scene import Scene

_QUEUES = 10_000

#: Milliseconds in which they have to be listed while other tests run; alone it takes half a second.
_LISTED_MS = 10_000

#: Notes in the page when a text is first shown there, in milliseconds from the request of the page:
#: whoever asks from without does so a few times a second.
_NOTE_LISTED = """
new MutationObserver(() => {
  if (window.listedAt || !document.body?.textContent.includes("10,000 queues")) return;
  window.listedAt = true;
  requestAnimationFrame(() => setTimeout(() => { window.listedAt = performance.now(); }));
}).observe(document, {subtree: true, childList: true, characterData: true});
"""


def dialog(page: Page, title: str) -> None:
    """Wait until the dialog of a title is open."""
    expect(page.get_by_role("dialog", name=title)).to_be_visible()


def press(page: Page, name: str, *, within: str = "dialog") -> None:
    """Press the button of a name, in a dialog or in another part of the page."""
    page.locator(within).get_by_role("button", name=name, exact=True).click()


def test_message_fails_and_is_brought_back(open_window: Open) -> None:
    """From a queue that is made to one that is purged and deleted, with nothing but the console."""
    with open_window() as watched:
        page = watched.page
        page.goto("/console/")
        press(page, "New queue", within="main")
        page.get_by_label("Name", exact=True).fill("story")
        page.get_by_label(re.compile("^With a dead-letter queue")).check()
        press(page, "Make it")
        expect(page.get_by_role("heading", name="story", level=1)).to_be_visible()

        press(page, "Add a message", within="main")
        page.get_by_label("Payload").fill('{"order": 7}')
        # What was written is not lost by a slip of the hand.
        page.mouse.click(2, 2)
        page.get_by_label("Tags").fill("lang=en")
        press(page, "Add it")
        expect(page.locator(".head-of-line")).to_contain_text(
            re.compile("nobody waits", re.IGNORECASE)
        )

        page.get_by_role("link", name=re.compile("^Messages")).click()
        press(page, "Lease by hand", within="main")
        press(page, "Lease")
        expect(page.locator(".held")).to_contain_text('{"order": 7}')
        page.get_by_role("button", name=re.compile("^Message ")).click()
        expect(page.locator("dialog .why")).to_contain_text(
            re.compile("leased to 'console'", re.IGNORECASE)
        )
        page.keyboard.press("Escape")
        press(page, "Fail …", within=".held")
        page.get_by_label("What becomes of it").select_option("REJECT")
        page.get_by_label("Why").fill("ValueError: no such order")
        press(page, "Reject")
        expect(page.get_by_text("The queue is empty")).to_be_visible()

        page.get_by_role("link", name="Dead letters").click()
        page.get_by_role("link", name=re.compile("story.dead")).click()
        expect(page.locator(".letter-group")).to_contain_text("ValueError")
        press(page, "Redrive these …", within="main")
        press(page, "Count first, move nothing")
        expect(page.get_by_role("dialog")).to_contain_text("1 letter of 1 would be moved")
        press(page, "Start")
        expect(
            page.get_by_role("region", name="Redrives").get_by_text("done").first
        ).to_be_visible()

        assert not watched.complaints

    with open_window() as watched:
        history_is_told(watched.page)
        purge_and_delete(watched.page)

        assert not watched.complaints


def test_messages_are_moved_and_deleted(open_window: Open, scene: Scene) -> None:
    """Those that are ticked; of each that is left alone it is said why. A dead letter goes back."""
    dead = scene.queue("picked.dead")
    queue = scene.queue("picked", dead_letter_queue_id=dead)
    other = scene.queue("picked.other", limit=1)
    _, one, two, _ = scene.add(queue, "first", "second", "third", "fourth")
    leases = scene.lease(queue, 1, "somebody")
    with open_window() as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{queue}/messages")
        for each in (one, two):
            page.get_by_label(f"Choose message {each}").check()
        page.get_by_role("status").get_by_role("button", name="Move …").click()
        expect(page.get_by_role("button", name="Move 2 messages")).to_be_disabled()
        page.get_by_label("To", exact=True).select_option(label="picked.other")
        press(page, "Move 2 messages")
        expect(page.get_by_role("dialog", name="Left alone: 1 message")).to_contain_text(
            "limit of 1"
        )
        page.locator("dialog footer").get_by_role("button", name="Close").click()
        expect(page.get_by_label(f"Choose message {one}")).to_have_count(0)

        page.get_by_label("Choose all that are shown").check()
        page.get_by_role("status").get_by_role("button", name="Delete …").click()
        press(page, "Delete 3 messages")
        expect(page.get_by_role("dialog")).to_contain_text("leased to 'somebody'")
        assert not watched.violations()
        page.keyboard.press("Escape")
        scene.end(queue, leases, "nack", kind="REJECT", reason="KeyError: name")

        page.goto(f"/console/#/dead-letters/{dead}")
        page.get_by_role("button", name=re.compile("KeyError")).click()
        page.get_by_role("button", name=re.compile("^Move message")).click()
        press(page, "Move the message")
        expect(page.get_by_text("Nothing has failed for good.")).to_be_visible()
        page.goto(f"/console/#/queues/{queue}/messages")
        page.get_by_role("button", name=re.compile("^Message ")).click()
        expect(page.locator(".timeline")).to_contain_text("moved here from queue picked.dead")
        press(page, "Delete …")
        press(page, "Delete the message")
        expect(page.get_by_text("The message has left the queue")).to_be_visible()

        assert not watched.complaints

    counts = [scene.call("GET", f"/v1/queues/{each}/stats")["queues"][0] for each in (queue, other)]
    assert [each.get("ready") for each in counts] == [None, "1"]


def history_is_told(page: Page) -> None:
    """What has happened to the message is still known, now that it is back."""
    page.goto("/console/")
    page.get_by_label("Name of a queue").fill("story")
    page.get_by_role("link", name="story", exact=True).click()
    page.get_by_role("link", name=re.compile("^Messages")).click()
    page.get_by_role("button", name=re.compile("^Message ")).click()
    expect(page.locator(".timeline")).to_contain_text("ValueError: no such order")
    page.keyboard.press("Escape")


def purge_and_delete(page: Page) -> None:
    """Both want the name of the queue to be typed."""
    press(page, "Purge", within="main")
    purge = page.get_by_role("button", name="Remove all messages")
    expect(purge).to_be_disabled()
    page.get_by_label(re.compile("^Type")).fill("story")
    purge.click()
    expect(page.get_by_text("Removed 1 message")).to_be_visible()
    press(page, "Delete", within="main")
    page.get_by_label(re.compile("^Type")).fill("story")
    press(page, "Delete it")
    expect(page.get_by_role("heading", name="Queues", level=1)).to_be_visible()


def test_settings_are_changed_one_by_one(open_window: Open, scene: Scene) -> None:
    """Only what was changed is sent; what is no duration is told beside the field."""
    queue = scene.queue("to-be-set")
    with open_window() as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{queue}/settings")
        page.get_by_label("Lease lasts").fill("soon")
        press(page, "Save", within="main")
        expect(page.get_by_role("alert")).to_contain_text("is no duration")
        expect(page.get_by_role("alert")).to_be_in_viewport()
        page.get_by_label("Lease lasts").fill("1m 30s")
        page.get_by_label("Messages at most").fill("500")
        with page.expect_request(lambda request: request.method == "PATCH") as sent:
            press(page, "Save", within="main")
        expect(page.get_by_text("Settings saved")).to_be_visible()

    assert sent.value.post_data_json == {"settings": {"lease_duration": "90s"}, "limit": "500"}
    told = scene.call("GET", f"/v1/queues/{queue}")["queue"]
    assert (told["settings"]["lease_duration"], told["limit"]) == ("90s", "500")


def test_weights_of_fair_keys_are_named_changed_and_forgotten(
    open_window: Open, scene: Scene
) -> None:
    """Only keys that differ are sent, whatever their names; what is no weight is told at once."""
    fairness = {"weights": {"acme": 3, "gone": 2, "kept": 5}}
    queue = scene.queue("weighed", fairness=fairness)
    with open_window() as watched:
        page = watched.page
        page.goto(f"/console/#/queues/{queue}/settings")
        weights = page.get_by_role("group", name="Weights of fair keys")
        weights.get_by_label("Fair key").fill("__proto__")
        weights.get_by_label("Weight", exact=True).fill("1001")
        weights.get_by_role("button", name="Name it").click()
        expect(weights.get_by_role("alert")).to_contain_text("from 1 to 1,000")
        weights.get_by_label("Weight", exact=True).fill("7")
        weights.get_by_label("Weight", exact=True).press("Enter")
        expect(weights.get_by_label("Weight of __proto__")).to_have_value("7")
        weights.get_by_role("button", name="Forget gone").click()
        weights.get_by_label("Weight of acme").fill("4.5")
        press(page, "Save", within="main")
        expect(page.get_by_role("alert")).to_contain_text("“acme”")
        weights.get_by_label("Weight of acme").fill("4")
        expect(page.get_by_text("3 settings changed")).to_be_visible()
        with page.expect_request(lambda request: request.method == "PATCH") as sent:
            press(page, "Save", within="main")
        expect(page.get_by_text("Settings saved")).to_be_visible()

        assert not watched.complaints

    changed = {"acme": 4, "gone": 0, "__proto__": 7}
    assert sent.value.post_data_json == {"settings": {"fairness": {"weights": changed}}}
    told = scene.call("GET", f"/v1/queues/{queue}")["queue"]["settings"]["fairness"]["weights"]
    assert told == {"acme": 4, "kept": 5, "__proto__": 7}


def test_keys_are_enough(open_window: Open) -> None:
    """Who has no mouse gets past the head, opens a dialog and leaves it, and is where they were."""
    with open_window() as watched:
        page = watched.page
        page.goto("/console/")
        expect(page.get_by_role("link", name="orders", exact=True)).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="As commands")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="New queue")).to_be_focused()
        page.keyboard.press("Enter")
        dialog(page, "New queue")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="New queue")).to_be_focused()


def test_reference_tries_a_call(open_window: Open) -> None:
    """On the q that serves it."""
    with open_window() as watched:
        page = watched.page
        page.goto("/docs/")
        operation = page.get_by_role("article", name="GetQueue", exact=True)
        operation.get_by_text("Try it on this q").click()
        operation.get_by_label("queue_id").fill("orders")
        operation.get_by_role("button", name="Send GET").click()
        expect(operation.locator(".answer")).to_contain_text('"name": "orders"')

        assert not watched.complaints


@pytest.fixture
def asking_q(tmp_path: Path) -> Iterator[tuple[RunningQ, str]]:
    """A q that wants to know who calls, and the token of somebody who may look at all queues."""
    access = str(tmp_path / "access.toml")
    make = (program("q"), "tokens", "make", "viewer", "--access", access)
    may = ("--may", "browse", "--queues", "*")
    made = subprocess.run((*make, *may), check=True, capture_output=True, env=environment())
    q = RunningQ(tmp_path)
    q.start("--access", access)
    yield q, made.stdout.decode().strip()
    q.stop()


def test_token_is_asked_for_and_sent(asking_q: tuple[RunningQ, str], browser: Browser) -> None:
    """Where q wants to know who calls; which right is missing is told, and no token is kept."""
    q, token = asking_q
    with window(browser, q.address) as watched:
        page = watched.page
        page.goto("/console/")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("There are no queues yet")).to_be_visible()
        expect(page.locator("header .who")).to_have_text("viewer")
        new = page.get_by_role("button", name="New queue")
        expect(new).to_be_disabled()
        # It tells why, also to who presses it.
        new.click(force=True)
        expect(page.get_by_role("status").get_by_text("You may not make queues")).to_be_visible()
        assert page.evaluate("Object.keys(localStorage).length") == 0
        press(page, "Sign out", within="header")
        expect(page.get_by_label("Token")).to_be_visible()

        assert not watched.complaints


def test_page_of_another_site_cannot_call(open_window: Open, scene: Scene) -> None:
    """Not even blindly, as a page may that somebody looks at by chance."""
    scene.queue("private")
    scene.add("private", "kept")
    purge = f"http://{scene.address}/v1/queues/private/messages:purge"
    with open_window() as watched:
        blindly = "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'})"
        watched.page.evaluate(f"url => ({blindly})(url).then(() => null)", purge)

    assert scene.call("GET", "/v1/queues/private/stats")["queues"][0]["ready"] == "1"


def test_console_says_that_q_is_away(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And goes on when it is back, without being loaded anew."""
    q = RunningQ(tmp_path_factory.mktemp("leaving_q"))
    q.start()
    Scene(q.address).queue("mail")
    with window(browser, q.address) as watched:
        page = watched.page
        page.goto("/console/")
        expect(page.get_by_role("link", name="mail")).to_be_visible()
        q.kill()
        # It is said once, and what was known stays.
        expect(page.get_by_role("alert")).to_contain_text("q cannot be reached")
        expect(page.get_by_role("link", name="mail")).to_be_visible()
        q.start()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_text("Live")).to_be_visible()
    q.stop()


async def make_queues(address: str) -> None:
    """Make so many queues that no list of them is short."""
    async with qmq.AsyncClient(address) as client:
        names = [f"queue-{number:05}" for number in range(_QUEUES)]
        for at in range(0, _QUEUES, 500):
            await asyncio.gather(
                *(client.new_queue(each, store="MEMORY") for each in names[at : at + 500])
            )


@pytest.fixture
def wide_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """A q with very many queues. They are made before there is a browser, which has a loop too."""
    q = RunningQ(tmp_path_factory.mktemp("wide_q"))
    q.start()
    asyncio.run(make_queues(q.address))
    yield q
    q.stop()


def test_ten_thousand_queues_are_listed_at_once_and_one_is_found(
    wide_q: RunningQ, browser: Browser
) -> None:
    """From the request of the page until all can be seen; only those in view are drawn."""
    with window(browser, wide_q.address) as watched:
        page = watched.page
        page.add_init_script(_NOTE_LISTED)
        page.goto("/console/")
        page.get_by_text(f"{_QUEUES:,} queues", exact=True).wait_for()
        assert page.locator(".queue-row").count() < 100
        page.get_by_label("Name of a queue").fill("queue-09999")
        expect(page.get_by_role("link", name="queue-09999")).to_be_visible()
        page.get_by_label("Name of a queue").fill("")
        page.evaluate("scrollTo(0, 1e9)")
        expect(page.get_by_role("link", name="queue-09999")).to_be_visible()
        watched.keep_picture("ten-thousand")
        choose_one_of_many(page)

        assert page.evaluate("listedAt") < _LISTED_MS
        assert not watched.complaints


def choose_one_of_many(page: Page) -> None:
    """A queue is found by a part of its name where no list could be looked through."""
    page.get_by_role("link", name="queue-09999").click()
    page.get_by_role("link", name="Settings").click()
    choice = page.get_by_role("combobox", name="Dead-letter queue")
    choice.fill("98-")
    expect(page.locator("datalist option")).to_have_count(0)
    choice.fill("0777")
    found = page.locator("datalist option").evaluate_all("all => all.map(each => each.value)")
    assert found == [*(f"queue-{number:05}" for number in (777, *range(7770, 7780)))]
    press(page, "Save", within="main")
    expect(page.get_by_role("alert")).to_contain_text("neither a UUID nor the name")
    choice.fill("queue-07770")
    press(page, "Save", within="main")
    expect(page.get_by_text("Settings saved")).to_be_visible()
    expect(choice).to_have_value("queue-07770")
