"""Fixtures of the tests that look at q with a browser."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.running import RunningQ
from tests.console.browser import CHROMIUM, Watched, window
from tests.console.node import PACKAGES
from tests.console.scene import Scene

Open = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Skip where there is no browser or no package of npm, but in CI."""
    if not (CHROMIUM.exists() and PACKAGES.exists()):
        missing = "a browser and packages of npm are needed: make test-pages installs them"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser of the test's own: its event loop runs in the thread of the test meanwhile."""
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; what it is shown here is our own.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lively_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """A q with queues of all kinds, of which some are under load."""
    q = RunningQ(tmp_path_factory.mktemp("lively_q"))
    q.start()
    scene = Scene(q.address)
    scene.make()
    scene.start()
    yield q
    scene.stop()
    q.stop()


@pytest.fixture(scope="session")
def scene(lively_q: RunningQ) -> Scene:
    """What is on that q; tests may make queues of their own there."""
    scene = Scene(lively_q.address)
    queues = scene.call("GET", "/v1/queues")["queues"]
    scene.ids = {each["name"]: each["meta"]["id"] for each in queues}
    return scene


@pytest.fixture
def open_window(browser: Browser, lively_q: RunningQ) -> Open:
    """Opens windows on that q, of a width in pixels and a colour scheme."""
    return partial(window, browser, lively_q.address)
