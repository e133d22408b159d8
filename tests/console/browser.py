"""A real browser, headless: what it shows, and what it complains about."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.console.node import PACKAGES, ROOT

#: Where pictures of pages go that people look at.
PICTURES: Final = ROOT / "build" / "screenshots"

#: Debian's package chromium-headless-shell.
CHROMIUM: Final = Path("/usr/bin/chromium-headless-shell")

#: Milliseconds that a page may take, beside whatever else the machine does.
PATIENCE_MS: Final = 40_000.0
expect.set_options(timeout=PATIENCE_MS)

WIDE: Final = 1280
NARROW: Final = 360

#: Of what axe finds, what is a fault.
_SERIOUS: Final = {"serious", "critical"}

_AXE: Final = PACKAGES / "axe-core" / "axe.min.js"

#: How Chromium says that an answer was an error, which pages deal with.
_REFUSED: Final = "Failed to load resource"


class Watched:
    """A page, and what it has complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        #: Errors, warnings, and what the content security policy has refused.
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and _REFUSED not in message.text:
            self.complaints.append(message.text)

    def violations(self, *rules: str) -> list[str]:
        """Return what axe finds that keeps people out: each rule, and where it is broken.

        By all rules, or by those that are named.
        """
        if not self.page.evaluate("'axe' in window"):
            # By the debugger's way, which the page's policy does not concern.
            self.page.evaluate(_AXE.read_text("utf-8"))
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        found: Any = self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{each['id']}: {json.dumps([node['html'] for node in each['nodes']])[:800]}"
            for each in found["violations"]
            if each["impact"] in _SERIOUS
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width

    def keep_picture(self, name: str, *, whole: bool = False) -> None:
        """Take a picture of what the window shows, or of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")


@contextmanager
def window(
    browser: Browser, address: str, *, width: int = WIDE, scheme: str = "light"
) -> Iterator[Watched]:
    """Open a window on a q, as somebody who was never there; `scheme` is light or dark."""
    context: BrowserContext = browser.new_context(
        base_url=f"http://{address}",
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Watched(context.new_page())
    finally:
        context.close()
