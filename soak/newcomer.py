"""Follows the quickstart to the letter in a fresh clone, as one who has never seen q.

    make newcomer

What is committed is cloned, and everything installed anew: so this shows what is missing from the
lock, from the repository or from the text, and how long all of it takes.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.acceptance.pasting import Clone
from tests.documents import blocks, page

#: What the quickstart promises, in seconds.
_TIME_MAX_S: Final = 300.0


def main() -> None:
    """Paste each block, tell how long it took, and fail if one does or if all take too long."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        clone = Clone(Path(directory) / "q", is_fresh=True)
        try:
            start, *others = blocks(page("docs/quickstart.md"))
            assert start.text == "make run\n"
            clone.make_run()
            tell(began, start.text)
            for block in others:
                match block.language:
                    case "sh":
                        clone.paste(block.text)
                    case "python":
                        clone.run_python(block.text)
                    case _:
                        continue
                tell(began, block.text)
            took_s = time.monotonic() - began
        finally:
            clone.close()
    print(f"the quickstart took {took_s:.0f} s")
    if took_s > _TIME_MAX_S:
        sys.exit(f"newcomer: that is more than {_TIME_MAX_S:.0f} s")


def tell(began: float, text: str) -> None:
    """Say when a block was done."""
    print(f"{time.monotonic() - began:5.0f} s  {text.splitlines()[0]}", flush=True)


if __name__ == "__main__":
    main()
