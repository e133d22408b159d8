"""The load generator of bench/tail.py: that of the suite, which also notes each call's moments.

echo JOB | python -m tailing.wire NOTES
"""

import gc
import json
import os
import socket
import sys
from array import array
from pathlib import Path
from time import perf_counter
from typing import Final

from suite import load
from suite.wires.grpc_frames import Grpc
from suite.wires.wire import Load
from tailing.header import HEADER

#: Sets the calls of this process apart from those of others.
_BASE: Final = os.getpid() << 32
_GROWN: Final = 1024


class _Moments:
    """When each call was sent, and when its answer had come."""

    def __init__(self) -> None:
        self.sent = array("d")
        self.received = array("d")

    def note(self, moments: "array[float]", call: int) -> None:
        """Note that it is now."""
        if call >= len(moments):
            moments.extend([0.0] * (call + _GROWN - len(moments)))
        moments[call] = perf_counter()


class Traced(Grpc):
    """A connection whose calls say which ones they are: see `call_of`."""

    def __init__(self, connection: socket.socket, load: Load) -> None:
        super().__init__(connection, load)
        self._plain = dict(self._blocks)

    def _call(self, kind: str, number: int, queue: int, rest: bytes) -> None:
        call = call_of(number, is_ack=kind == "ack")
        value = str(_BASE + call).encode()
        # A literal header that no table keeps: its name, then its value.
        named = b"\0" + bytes([len(HEADER)]) + HEADER + bytes([len(value)]) + value
        self._blocks[kind] = self._plain[kind] + named
        _MOMENTS.note(_MOMENTS.sent, call)
        super()._call(kind, number, queue, rest)

    def _end(self, stream: int, trailers: bytes) -> int:
        number, kind, _ = self._calls[stream]
        _MOMENTS.note(_MOMENTS.received, call_of(number, is_ack=kind == "ack"))
        return super()._end(stream, trailers)


class Generator(load.Generator):
    """One that writes its notes before it reports."""

    def run(self) -> load.Report:
        """Send, until the job is done."""
        report = super().run()
        notes = {
            "base": _BASE,
            # From which follows when operations were due.
            "began": report.started,
            "rate": self.job.rate,
            "sent": _MOMENTS.sent.tolist(),
            "received": _MOMENTS.received.tolist(),
        }
        Path(sys.argv[1]).write_text(json.dumps(notes), encoding="utf-8")
        return report


_MOMENTS: Final = _Moments()


def call_of(operation: int, *, is_ack: bool = False) -> int:
    """Return the number of a call: operations have two at most."""
    return 2 * operation + is_ack


def main() -> None:
    """Do the job that standard input tells."""
    load.WIRES["q"] = (Traced.__module__, Traced.__name__)
    # As in the suite's own.
    gc.disable()

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    load.serve(sys.stdin.buffer.readline, write, Generator)


if __name__ == "__main__":
    # By its name, since the list of wires names it: a second copy would have other notes.
    from tailing.wire import main as main_of_module

    main_of_module()
