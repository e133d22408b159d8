"""What a process is told about garbage before it serves."""

import subprocess
import sys
from typing import Final

_PROGRAM: Final = """
import gc, weakref
from qmq.limits import GARBAGE_OBJECTS
from qmq.server.serving import undisturbed_by_gc

class Knot:
    def __init__(self):
        self.itself = self

with undisturbed_by_gc():
    pass
collections = []
gc.callbacks.append(lambda phase, _: collections.append(phase))
under_way = [[] for _ in range(GARBAGE_OBJECTS // 2)]
print(len(collections))
knot = weakref.ref(Knot())
garbage = [Knot() for _ in range(GARBAGE_OBJECTS)]
print(knot() is None)
"""


def test_garbage_is_collected_but_not_for_the_sake_of_calls_under_way() -> None:
    """Many of them are no reason to look for garbage; and garbage is found when it is much."""
    # In a process of its own: it changes what holds for all of it.
    found = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    assert found.stdout.split() == [b"0", b"True"]
