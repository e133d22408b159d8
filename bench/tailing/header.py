"""What the load generator and the recorder in q have in common."""

from typing import Final

#: The header by which a call says which one it is.
HEADER: Final = b"n"
