"""Examples of REST calls, as the reference of the API has them: api_page.md.

They are tried there against a real q (tests/acceptance/test_api_page.py), so that what the OpenAPI
description shows is what q takes and answers.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.api import Binding

_PAGE: Final = Path(__file__).with_name("api_page.md")
_SECTION: Final = re.compile(r"^### (\w+)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LIKE: Final = re.compile(r"The reply looks like that of \[(\w+)\]")
_HOST: Final = "localhost:10002"


class Examples:
    """The examples of the page, by what they are of."""

    def __init__(self) -> None:
        text = _PAGE.read_text(encoding="utf-8")
        self._sections = dict(_SECTION.findall(text))
        self._errors = text.partition("\n## Errors\n")[2]
        self._calls = [*_calls(text)]

    def body(self, binding: Binding) -> object:
        """Return the body of the first call of a binding; None if it is not called with one."""
        path = re.compile(
            re.sub(
                r"\{\w+\}",
                "[^/?]+",
                re.escape(binding.path).replace(r"\{", "{").replace(r"\}", "}"),
            )
        )
        for verb, url, body in self._calls:
            if verb == binding.verb and body is not None and path.fullmatch(url.partition("?")[0]):
                return body
        return None

    def reply(self, method: str) -> object:
        """Return the reply that the page shows of a method; None if it shows none."""
        section = self._sections.get(method, "")
        if like := _LIKE.search(section):
            return self.reply(like[1])
        return next(
            (json.loads(text) for kind, text in _BLOCK.findall(section) if kind == "json"), None
        )

    def error(self) -> object:
        """Return the error that the page shows."""
        return next(
            json.loads(text) for kind, text in _BLOCK.findall(self._errors) if kind == "json"
        )


def _calls(text: str) -> Iterator[tuple[str, str, object]]:
    """List the calls of the page by curl: the verb, the URL without its host, and the body."""
    for kind, block in _BLOCK.findall(text):
        if kind != "sh":
            continue
        for line in block.splitlines():
            if not line.startswith("curl "):
                continue
            words = shlex.split(line)
            body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
            verb = (
                words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
            )
            url = next(word.removeprefix(_HOST) for word in words if word.startswith(_HOST))
            yield verb, url, body
