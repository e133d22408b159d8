"""Makes the site of the documentation: python -m scripts.docs_site DIRECTORY.

Pages are read where they are, so that their links are those of the repository. What stands in
the navigation, and in which order, is what docs/README.md lists. Every warning is an error.
"""

import gc
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT: Final = Path(__file__).parent.parent

#: The page that lists all others, and that which people see first.
CONTENTS: Final = "docs/README.md"
HOME: Final = "README.md"

#: What of the repository is looked at for pages.
_PLACES: Final = frozenset({HOME, "CHANGELOG.md", "docs"})

_HEADING: Final = re.compile(r"## (.+)")
_ENTRY: Final = re.compile(r"- \[([^\]]+)\]\(([^)#\s]+\.md)\)")

#: Fonts are those of the reader's system, and nothing is fetched from anywhere.
_CONFIGURATION: Final[dict[str, object]] = {
    "project": "q",
    "root_doc": HOME.removesuffix(".md"),
    "extensions": ["myst_parser"],
    # Headings have the anchors that they have where the repository is looked at.
    "myst_heading_anchors": 6,
    # Dashes and quotes of commands stay as they are.
    "smartquotes": False,
    "highlight_language": "none",
    # Examples may leave something out (…), which is not the language any more.
    "suppress_warnings": ["misc.highlighting_failure"],
    "html_theme": "furo",
    "html_title": f"q {version('qmq')}",
    "html_static_path": [str(ROOT / "scripts" / "site")],
    "html_css_files": ["q.css"],
    "html_js_files": [("copy.js", {"defer": "defer"})],
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_show_sphinx": False,
    "html_theme_options": {"top_of_page_buttons": []},
}


class Section(NamedTuple):
    """A part of the navigation."""

    title: str
    #: Title and path in the repository of each page.
    pages: list[tuple[str, str]]


def navigation() -> list[Section]:
    """Read what docs/README.md lists."""
    sections: list[Section] = []
    for line in (ROOT / CONTENTS).read_text("utf-8").splitlines():
        if heading := _HEADING.match(line):
            sections.append(Section(heading[1], []))
        elif entry := _ENTRY.match(line):
            path = (ROOT / CONTENTS).parent.joinpath(entry[2]).resolve()
            sections[-1].pages.append((entry[1], str(path.relative_to(ROOT))))
    return sections


def _toctrees() -> Iterator[str]:
    yield f"\n```{{toctree}}\n:hidden:\n\nAll pages <{CONTENTS.removesuffix('.md')}>\n```\n"
    for section in navigation():
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n"
        yield from (f"{title} <{path.removesuffix('.md')}>\n" for title, path in section.pages)
        yield "```\n"


def _add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Put the navigation at the end of the home page, where it is not seen."""
    if f"{page}.md" == HOME:
        source[0] += "".join(_toctrees())


def build(directory: Path) -> bool:
    """Write the site into a directory, in place of what was there.

    Warnings go to standard error. Returns whether there were none: only then the site is good.
    """
    shutil.rmtree(directory, ignore_errors=True)
    others = [path.name for path in ROOT.iterdir() if path.name not in _PLACES]
    with (
        tempfile.TemporaryDirectory() as doctrees,
        patch_docutils(),
        docutils_namespace(),
    ):
        app = Sphinx(
            srcdir=ROOT,
            confdir=None,
            outdir=directory,
            doctreedir=doctrees,
            buildername="html",
            confoverrides=_CONFIGURATION | {"exclude_patterns": others},
            status=None,
            warning=sys.stderr,
            freshenv=True,
            warningiserror=True,
        )
        app.connect("source-read", _add_navigation)
        app.build()
    shutil.copy(directory / HOME.replace(".md", ".html"), directory / "index.html")
    return app.statuscode == 0


def main(directory: str) -> None:
    """Build the site, or exit with status 1."""
    # Nearly all that is made is there until the end: to look for garbage takes a tenth longer.
    gc.disable()
    if not build(Path(directory).resolve()):
        sys.exit(1)
    print(f"The site is {Path(directory) / 'index.html'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
