"""When the files of a database are seen to."""

from typing import NamedTuple

from qmq.limits import CHECKPOINT_PAGES, SHRINK_FILE_BYTES_MIN


class Upkeep(NamedTuple):
    """When the log is written back, and when the database's file is made smaller."""

    #: Pages in the log from which on they are written back.
    checkpoint_pages: int = CHECKPOINT_PAGES
    #: A smaller file stays as it is.
    shrink_file_bytes_min: int = SHRINK_FILE_BYTES_MIN
    #: Seconds for which there has to be hardly anything in it.
    shrink_after_s: float = 10.0
