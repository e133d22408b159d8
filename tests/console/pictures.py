"""Takes the pictures of the console that documents show.

`make pictures` runs python -m tests.console.pictures DIRECTORY.
"""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.running import RunningQ
from tests.console.browser import CHROMIUM, window
from tests.console.scene import Scene

#: Seconds for which a page is open before its picture is taken, so that charts have something to
#: show; and until alerts hold.
_OPEN_S: Final = 45.0

#: Each picture: its name, the address, and the scheme.
_PICTURES: Final = (
    ("console", "/console/", "light"),
    ("console-queue", "/console/#/queues/{orders}", "dark"),
)


def take(browser: Browser, scene: Scene, directory: Path) -> None:
    """Take all pictures at the same time."""
    with ExitStack() as stack:
        pages = []
        for _, path, scheme in _PICTURES:
            opened = window(browser, scene.address, scheme=scheme)
            pages.append(stack.enter_context(opened).page)
            pages[-1].goto(path.replace("{orders}", scene.ids["orders"]))
        # What the browser says meanwhile is dealt with, which `time.sleep` would not.
        pages[0].wait_for_timeout(_OPEN_S * 1000)
        for page, (name, _, _) in zip(pages, _PICTURES, strict=True):
            page.screenshot(path=directory / f"{name}.png", animations="disabled")


def main(directory: str) -> None:
    """Start a q, let it live for a while, and look."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as runtime:
        q = RunningQ(Path(runtime))
        q.start()
        scene = Scene(q.address)
        scene.make()
        # Of interest to tests alone.
        scene.call("DELETE", "/v1/queues/hostile")
        scene.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            take(browser, scene, Path(directory))
            browser.close()
        scene.stop()
        q.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
