"""A command that is run for messages: what it is given, and how it ended."""

import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO, Final

from qmq.values import Tag

#: Stands for the payload in an argument.
_PLACEHOLDER: Final = b"{}"

#: How the variables begin that hold the message's tags.
_TAG_PREFIX: Final = "Q_TAG_"

#: The others.
VARIABLES: Final = frozenset({"Q_QUEUE", "Q_MESSAGE_ID", "Q_DELIVERY_COUNT"})

#: As much of the standard error of a command is kept as a reason may hold.
_LINE_BYTES_MAX: Final = 1_024

#: Seconds between two looks whether a command has ended whose standard error has not: what it
#: has started may hold that open.
_LOOK_S: Final = 0.2

_READ_BYTES: Final = 64 * 1024

#: Held by who writes lines to standard error, so that those of several commands stay whole.
_stderr_lock: Final = Lock()


class UnfitPayload(Exception):
    """A payload that can be no argument of a command."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    #: The exit status; of a command that a signal ended, the signal's number with a minus.
    status: int
    #: The last line that it wrote to standard error, if any.
    last_line: str

    @property
    def reason(self) -> str:
        """Say how it ended, and what it said last."""
        text = f"exit status {self.status}"
        if self.status < 0:
            text = f"killed by {_signal_name(-self.status)}"
        return f"{text}: {self.last_line}" if self.last_line else text


class Commands:
    """Runs a command, as often and as many at one time as its owner wants."""

    def __init__(self, command: Sequence[str]) -> None:
        program, *arguments = command
        self._program = program.encode()
        self._arguments = [argument.encode() for argument in arguments]
        # What follows is changed with this held.
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        #: Whether those that ran were killed, and all that begin are.
        self.are_killed = False

    def run(self, payload: bytes, variables: Mapping[str, str]) -> Ended:
        """Run the command to its end. Many threads may.

        Args:
            payload: its standard input, and what stands for `{}` in its arguments.
            variables: its environment.

        Raises:
            UnfitPayload: the payload should be part of an argument, and cannot be.
            OSError: the command cannot be started.
        """
        with subprocess.Popen(  # noqa: S603 - It is the user's own command, and no shell's.
            [self._program, *filled(self._arguments, payload)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            # Ctrl-C is for this program, which then decides when its commands end.
            process_group=0,
        ) as process:
            with self._lock:
                self._running.add(process)
                if self.are_killed:
                    _kill(process)
            try:
                last_line = _attend(process, payload)
                return Ended(process.wait(), last_line)
            finally:
                with self._lock:
                    self._running.remove(process)

    def kill(self) -> None:
        """Kill all that run, and what they have started."""
        with self._lock:
            self.are_killed = True
            for process in self._running:
                _kill(process)


def filled(arguments: Iterable[bytes], payload: bytes) -> list[bytes]:
    """Return arguments with the payload in place of each `{}`, as a shell's $(...) gives it.

    Raises:
        UnfitPayload: it has a zero byte, which ends an argument.
    """
    text = payload.rstrip(b"\n")
    made = [argument.replace(_PLACEHOLDER, text) for argument in arguments]
    if b"\0" in text and made != [*arguments]:
        raise UnfitPayload("the payload has a zero byte, and no argument of a command has one")
    return made


def variables_of(
    queue_id: str, message_id: str, delivery_count: int, tags: Iterable[Tag]
) -> dict[str, str]:
    """Return the environment of a command: that of this process, and what is to be known.

    Args:
        queue_id: the queue, as it was named.
        message_id: a UUID.
        delivery_count: which delivery of the message it is, from 1.
        tags: those of the message; of several with one key, the first counts.
    """
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(_TAG_PREFIX)
    }
    if variables.get("GRPC_VERBOSITY") == "NONE":
        # That was said to gRPC in this program.
        del variables["GRPC_VERBOSITY"]
    for tag in reversed([*tags]):
        # A variable cannot hold one.
        if "\0" not in tag.value:
            name = re.sub(r"[^A-Za-z0-9]", "_", tag.key).upper()
            variables[_TAG_PREFIX + name] = tag.value
    own = {
        "Q_QUEUE": queue_id,
        "Q_MESSAGE_ID": message_id,
        "Q_DELIVERY_COUNT": str(delivery_count),
    }
    assert own.keys() == VARIABLES
    return variables | own


class _StandardError:
    """What a command writes to standard error: passed on line by line, the last one kept."""

    def __init__(self) -> None:
        self._rest = b""
        self._last = b""

    def write(self, data: bytes) -> None:
        """Take what has come."""
        lines, found, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > _READ_BYTES:
            # No line that a person reads.
            lines, found, self._rest = lines + found + self._rest, b"", b""
        if lines or found:
            self._pass_on(lines + found)

    def end(self) -> str:
        """Take the end of it, and return the last line."""
        if self._rest:
            self._pass_on(self._rest + b"\n")
        return self._last[:_LINE_BYTES_MAX].decode(errors="replace")

    def _pass_on(self, data: bytes) -> None:
        for line in reversed(data.splitlines()):
            if text := line.strip():
                self._last = text
                break
        if sys.stderr is not None:
            with suppress(OSError), _stderr_lock:
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()


def _attend(process: "subprocess.Popen[bytes]", payload: bytes) -> str:
    """Write the payload to a command, and pass on what it writes to standard error.

    Returns the last line of that.
    """
    stdin, stderr = process.stdin, process.stderr
    assert stdin is not None
    assert stderr is not None
    for pipe in (stdin, stderr):
        os.set_blocking(pipe.fileno(), False)
    said = _StandardError()
    left = memoryview(payload)
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stderr, selectors.EVENT_READ)
        while selector.get_map():
            events = selector.select(_LOOK_S)
            if not events and process.poll() is not None:
                break
            for key, _ in events:
                if key.fileobj is stdin:
                    pipe = stdin
                    left = left[_write(stdin, left) :]
                    is_over = not left
                else:
                    pipe = stderr
                    data = os.read(stderr.fileno(), _READ_BYTES)
                    said.write(data)
                    is_over = not data
                if is_over:
                    selector.unregister(pipe)
                    pipe.close()
    return said.end()


def _write(pipe: IO[bytes], data: memoryview) -> int:
    """Write as much as there is room for; return how much is done with."""
    try:
        return os.write(pipe.fileno(), data[:_READ_BYTES]) if data else 0
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        # It has read as much as it wanted.
        return len(data)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
