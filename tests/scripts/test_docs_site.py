"""The contents of the documentation's site are those of docs/README.md."""

from collections import Counter

from scripts.docs_site import CONTENTS, HOME, navigation
from tests.documents import pages


def test_contents_list_every_page_once() -> None:
    """Whoever adds a page says in docs/README.md where it belongs."""
    listed = Counter(path for section in navigation() for _, path in section.pages)

    assert {*listed} == {*pages()} - {CONTENTS, HOME}
    assert [path for path, count in listed.items() if count > 1] == []
    assert all(section.pages for section in navigation())
