"""Copies what the console has of npm: python scripts/vendor.py DIRECTORY.

From build/node, where scripts/node-packages puts it, into the directory; the console's own is
src/qmq/console/vendor. The files are as they came, but for the line that says what they are, where
one finds the other, and maps of their sources, which are not there.
"""

import json
import re
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(__file__).parent.parent / "build" / "node" / "node_modules"

#: What each file is called in its package, by what it is called here.
_FILES: Final = {
    "preact.js": ("preact", "dist/preact.mjs"),
    "hooks.js": ("preact", "hooks/dist/hooks.mjs"),
    "htm.js": ("htm", "dist/htm.mjs"),
}
_SOURCE_MAP: Final = re.compile(r"^//# sourceMappingURL=.*\n?", re.MULTILINE)


def vendored() -> dict[str, str]:
    """Return the texts of all files by their names."""
    texts = {}
    for name, (package, path) in _FILES.items():
        about = json.loads((PACKAGES / package / "package.json").read_text(encoding="utf-8"))
        text = (PACKAGES / package / path).read_text(encoding="utf-8")
        text = _SOURCE_MAP.sub("", text).replace('from"preact"', 'from"./preact.js"')
        head = f"// {package} {about['version']}, from npm; its licence is in {package}.LICENSE."
        texts[name] = f"{head}\n// @ts-nocheck\n{text.rstrip()}\n"
        licence = (PACKAGES / package / "LICENSE").read_text(encoding="utf-8")
        texts[f"{package}.LICENSE"] = licence
    return texts


def main(directory: str) -> None:
    """Write the files."""
    for name, text in vendored().items():
        (Path(directory) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
