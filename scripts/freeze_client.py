"""Keeps the client and qcli of a commit for tests of later servers: freeze_client.py COMMIT FILE.

Writes a zip that Python imports from as it is. A clone of little depth, as CI's may be, does not
have the commit itself.
"""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

#: What the client and qcli are made of: these rooms, and the leaves beside them.
ROOMS: Final = ("bin", "cli", "client", "wire")

#: When each file in the zip was changed, as far as it says: the same commit makes the same zip.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)


def is_wanted(path: str) -> bool:
    """Tell whether a file below src belongs to the client."""
    _, *inside = path.split("/")
    is_code = path.endswith(".py") and inside != ["testing.py"]
    return is_code and (len(inside) == 1 or inside[0] in ROOMS)


def main(commit: str, file: str) -> None:
    """Write the zip."""
    archive = subprocess.run(  # noqa: S603
        ["git", "archive", commit, "src/qmq"],  # noqa: S607
        capture_output=True,
        check=True,
    ).stdout
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda each: each.name):
            path = member.name.removeprefix("src/")
            content = source.extractfile(member)
            if content and is_wanted(path):
                entry = zipfile.ZipInfo(path, _MOMENT)
                entry.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(entry, content.read())
    print(f"{file}: {Path(file).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
