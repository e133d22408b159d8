"""What is between the q of a world and its databases: real PostgreSQL, at moments that chance says.

A request is on its way for a time of the world, is put to PostgreSQL then, and time stands still
until PostgreSQL has answered; the answer is on its way for a time as well. So whatever PostgreSQL
does it does in an order that the seed decides. Only who waits for somebody's lock lets time pass.
On the way, and in PostgreSQL, befalls them what `Trouble` and the rest of this module say.
"""

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from enum import Enum
from functools import partial
from random import Random
from typing import Final, NamedTuple, Protocol

from qmq.testing import START_NS
from tests.world.database import Database
from tests.world.loop import SimulatedLoop
from tests.world.wire import CANCEL_REQUEST, Backend, Frame, Frames, Refused, parameters_of

#: Seconds that a request or an answer is on its way, on average.
_TRAVELS_S: Final = 3e-4

#: Seconds between two things that are on their way one after the other, at least.
_BETWEEN_S: Final = 1e-9

#: Seconds of the world for which a statement waits for a lock, and a session may stand still in
#: the middle of a transaction: as q asks for them, see `connecting`.
_LOCK_S: Final = 2.0
_IDLE_S: Final = 5.0

#: Seconds after which a server gives up a session of which it has heard nothing.
_SILENT_S: Final = 15.0

#: Seconds of real time after which somebody looks whether a statement waits for a lock.
_LOOKS_AFTER_S: Final = 0.01


#: What is in each statement that commits a batch.
COMMIT: Final = "with fence as ("


class Owner(Protocol):
    """A process that connects."""

    #: What its callbacks run in.
    context: Context


class What(Enum):
    """What befalls one exchange."""

    #: The connection is cut before the request has arrived, after it was done, or in the middle
    #: of the answer.
    LOSE_REQUEST = "request lost"
    LOSE_ANSWER = "answer lost"
    TEAR_ANSWER = "answer torn"
    #: The request or the answer is on its way for long: longer than somebody waits for it.
    LATE_REQUEST = "request late"
    LATE_ANSWER = "answer late"
    #: PostgreSQL refuses it, and all of the transaction.
    REFUSE = "refused"
    #: The session is ended by an administrator.
    TERMINATE = "terminated"
    #: The server takes no writes any more, as one that was demoted.
    READ_ONLY = "read-only"


class Trouble(NamedTuple):
    """What befalls the next exchange, once."""

    what: What
    #: Which database; and what is in the statement that is carried out, if it is not to be any.
    database: str
    text: str = ""
    #: Of what is late: for how long.
    seconds: float = 0.0
    #: Of what is refused: why, as PostgreSQL's code for it.
    state: str = ""
    #: How many exchanges like that pass before.
    after: int = 0


class Relay:
    """Carries what is between any number of q and their databases."""

    def __init__(
        self,
        loop: SimulatedLoop,
        chance: Random,
        databases: Sequence[Database],
        owner: Callable[[], Owner],
    ) -> None:
        """Connect whoever opens a connection in the loop.

        Args:
            loop: whose time passes while something is on its way.
            chance: decides for how long.
            databases: what can be connected to, by its name as a directory of Unix sockets.
            owner: tells which process it is that connects.
        """
        self.loop = loop
        self.chance = chance
        self.databases = {each.name: each for each in databases}
        self.owner = owner
        self.sessions: list[Session] = []
        #: How many exchanges there were with each.
        self.exchanges: Counter[str] = Counter()
        #: What befalls the next exchanges.
        self.troubles: list[Trouble] = []
        #: Told of each that has come about.
        self.on_trouble: Callable[[What], None] = lambda _: None
        #: Between whom and which database nothing comes through, and which take no connections.
        self.silent: set[tuple[int, str]] = set()
        self.refusing: set[str] = set()
        #: How many times as long as usual everything is on its way.
        self.slowness = 1.0
        #: Set when something comes through again.
        self._mended = asyncio.Event()

    async def connect(
        self, make: Callable[[], asyncio.Protocol], path: str
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Open a connection, as a loop does that for a Unix socket."""
        name, owner = path.split("/")[1], self.owner()
        await asyncio.sleep(self.travels_s())
        while (id(owner), name) in self.silent:
            await self._mended.wait()
        if name in self.refusing:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        session = Session(self, self.databases[name], owner, protocol := make())
        self.sessions.append(session)
        protocol.connection_made(session)
        return session, protocol

    def travels_s(self) -> float:
        """Return for how many seconds something is on its way."""
        return self.chance.expovariate(1 / _TRAVELS_S) * self.slowness

    def take_trouble(self, database: str, text: str) -> Trouble | None:
        """Return what befalls an exchange; the text is empty unless a statement is carried out."""
        self.exchanges[database] += 1
        for at, trouble in enumerate(self.troubles):
            if trouble.database != database or trouble.text not in text:
                continue
            if trouble.after:
                self.troubles[at] = trouble._replace(after=trouble.after - 1)
                continue
            del self.troubles[at]
            self.on_trouble(trouble.what)
            return trouble
        return None

    def of(self, owner: Owner) -> list["Session"]:
        """Return the connections of a process."""
        return [each for each in self.sessions if each.owner is owner]

    def cut(self, database: str) -> None:
        """Cut all connections to a database."""
        for session in list(self.sessions):
            if session.database.name == database:
                session.cut()

    def hush(self, owner: Owner, database: str) -> None:
        """Let nothing through between a process and a database; nobody is told."""
        self.silent.add((id(owner), database))

    def mend(self, owner: Owner, database: str) -> None:
        """Let everything through that was held up."""
        self.silent.discard((id(owner), database))
        self._mended.set()
        self._mended.clear()
        for session in self.of(owner):
            if session.database.name == database:
                session.go_on()

    def leave(self, owner: Owner) -> None:
        """Have the connections of a process that was killed end."""
        for session in self.of(owner):
            session.abort()

    def look_at_locks(self, database: Database) -> None:
        """Have those go on who have waited for a lock that is free by now."""
        for session in list(self.sessions):
            if session.database is database:
                session.look_at_lock()

    def tell_listeners(self, database: Database) -> None:
        """Carry a notification to all who listen for it."""
        for session in list(self.sessions):
            if session.database is database:
                session.notify()

    def close(self) -> None:
        """Leave no connection open."""
        for session in self.sessions:
            session.let_go()


class _UnixSocket:
    """What a transport says that its socket is."""

    family: Final = socket.AF_UNIX


class Session(asyncio.Transport):
    """One connection of a q to a database."""

    def __init__(
        self, relay: Relay, database: Database, owner: Owner, protocol: asyncio.Protocol
    ) -> None:
        super().__init__({"socket": _UnixSocket()})
        self.database = database
        self.owner = owner
        self._relay = relay
        self._loop = relay.loop
        self._protocol = protocol
        self._backend: Backend | None = None
        self._frames = Frames()
        self._is_begun = False
        #: What is sent together, and answered by one answer.
        self._group: list[Frame] = []
        #: Statements by the names under which they were prepared.
        self._statements: dict[str, str] = {}
        self._listens = False
        #: Whether q has let go of it; and whether nobody on the way knows it any more.
        self._is_left = self._is_cut = False
        #: When the last request arrives, and the last answer: they keep their order.
        self._arrives_s = self._comes_s = 0.0
        #: What nothing can get through, in order.
        self._held: list[tuple[Callable[[], None], Context | None]] = []
        #: What is done with the answer to what waits for a lock.
        self._waits: Callable[[], None] | None = None
        self._exchanges = 0
        #: Whether PostgreSQL itself ends no wait for a lock.
        self._waits_for_ever = False

    # What q does with it.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send something."""
        if self._is_left:
            return
        data = bytes(data)
        if not self._is_begun:
            self._is_begun = True
            self._send(partial(self._begin, data))
            return
        for frame in self._frames.feed(data):
            self._group.append(frame)
            if frame.kind in b"QSHX":
                group, self._group = self._group, []
                self._send(partial(self._exchange, group))

    def is_closing(self) -> bool:
        """Whether q has let go of it, or it was lost."""
        return self._is_left

    def close(self) -> None:
        """Let go of it when all was sent, which is so at once."""
        self.abort()

    def abort(self) -> None:
        """Let go of it: what is on its way may still arrive."""
        if self._is_left:
            return
        self._leave(None)
        if self._relay.chance.random() < 0.5:
            self._is_cut = True
        self._send(self.hang_up)
        # If nothing comes through, the server does not hear of it.
        self._relay.loop.call_later(_SILENT_S, self.hang_up, context=Context())

    def pause_reading(self) -> None:
        """Go on all the same: an answer is no more than is asked for."""

    def resume_reading(self) -> None:
        """Go on."""

    # What happens on the way.

    def cut(self) -> None:
        """Break: what is on its way does not arrive, and both sides hear of it."""
        self._is_cut = True
        self.hang_up()

    def go_on(self) -> None:
        """Let through what was held up."""
        held, self._held = self._held, []
        for act, context in held:
            self._loop.call_soon(act, context=context or Context())

    def hang_up(self) -> None:
        """End it on the side of PostgreSQL, once nothing waits for a lock there."""
        if self._waits:
            # PostgreSQL does not know that nobody waits for the answer.
            self._is_cut = True
            return
        backend, self._backend = self._backend, None
        if backend:
            self.database.end(backend)
        if self in self._relay.sessions:
            self._relay.sessions.remove(self)
            self._come(partial(self._leave, ConnectionResetError(errno.ECONNRESET, "reset")))
            self._relay.look_at_locks(self.database)

    def let_go(self) -> None:
        """Let go of PostgreSQL, when the world is over."""
        if self._backend:
            self._backend.close()

    def _leave(self, error: Exception | None) -> None:
        """Have q know that it is over."""
        if not self._is_left:
            self._is_left = True
            self._loop.call_soon(
                self._protocol.connection_lost, error, context=self.owner.context.copy()
            )

    def _send(self, act: Callable[[], None], late_s: float = 0.0) -> None:
        """Have something happen at the side of PostgreSQL when it has got there."""
        arrives_s = self._loop.time() + self._relay.travels_s() + late_s
        self._arrives_s = max(self._arrives_s + _BETWEEN_S, arrives_s)
        self._at(self._arrives_s, act, None)

    def _come(self, act: Callable[[], None], late_s: float = 0.0) -> None:
        """Have something happen at the side of q when it has got there."""
        comes_s = self._loop.time() + self._relay.travels_s() + late_s
        self._comes_s = max(self._comes_s + _BETWEEN_S, comes_s)
        self._at(self._comes_s, act, self.owner.context.copy())

    def _at(self, moment_s: float, act: Callable[[], None], context: Context | None) -> None:
        self._loop.call_exactly_at(
            moment_s, partial(self._unless_silent, act, context), context=context or Context()
        )

    def _unless_silent(self, act: Callable[[], None], context: Context | None) -> None:
        if (id(self.owner), self.database.name) in self._relay.silent:
            self._held.append((act, context))
        else:
            act()

    # What PostgreSQL does.

    def _begin(self, packet: bytes) -> None:
        """Open the connection to PostgreSQL."""
        if self._is_cut or int.from_bytes(packet[4:8]) == CANCEL_REQUEST:
            self.hang_up()
            return
        self._backend = self.database.begin(parameters_of(packet))
        self._tell(self._backend.startup)

    def _exchange(self, group: list[Frame]) -> None:
        """Have PostgreSQL answer, unless something else is to happen."""
        if self._backend is None or self._is_cut:
            return
        if group[-1].kind == b"X":
            self.hang_up()
            return
        used = self._texts(group)
        is_carried_out = any(frame.kind in b"EQ" for frame in group)
        trouble = self._relay.take_trouble(self.database.name, used if is_carried_out else "")
        match trouble:
            case Trouble(what=What.LOSE_REQUEST):
                self.cut()
                return
            case Trouble(what=What.LATE_REQUEST):
                self._send(partial(self._ask, group, used, None), trouble.seconds)
                return
            case Trouble(what=What.TERMINATE):
                self.database.terminate(self._backend)
                self._tell(self._backend.answer())
                return
            case Trouble(what=What.READ_ONLY):
                with suppress(Refused):
                    self.database.make_read_only(self._backend)
        self._ask(group, used, trouble)

    def _texts(self, group: list[Frame]) -> str:
        """Return the statement of a group."""
        text = ""
        for kind, body in group:
            if kind == b"P":
                name, query, _ = body.decode(errors="replace").split("\0", 2)
                self._statements[name] = text = query
            elif kind == b"B":
                _, prepared, _ = body.split(b"\0", 2)
                text = self._statements[prepared.decode()]
            elif kind == b"Q":
                text = body[:-1].decode()
        return text

    def _ask(self, group: list[Frame], text: str, trouble: Trouble | None) -> None:
        """Put a group to PostgreSQL, and carry the answer back."""
        backend = self._backend
        if backend is None or self._is_cut:
            return
        self._exchanges += 1
        if not self._waits_for_ever and backend.status == b"I" and "lock_timeout" not in text:
            # It is the world's time that counts. Whether it is set as q asks has been looked at.
            self._waits_for_ever = True
            self._set("lock_timeout", "0")
        if "clock_timestamp" in text:
            now_us = (START_NS // 1000) + round(self._loop.time() * 1e6)
            self._set("world.now_us", str(now_us))
        is_refused = trouble is not None and trouble.what is What.REFUSE
        if trouble and is_refused:
            self._set("world.raise", trouble.state)
        backend.send(b"".join(frame.data for frame in group))
        # Who only prepares a statement goes on without the end of an answer, unless it fails.
        until = b"TnE" if group[-1].kind == b"H" else b"Z"
        self._waits = partial(self._answer, text, trouble, until)
        if backend.has_answered(_LOOKS_AFTER_S):
            self._go_on_with_answer()
        else:
            self.look_at_lock()
        if self._waits is not None:
            self._loop.call_later(_LOCK_S, self._give_up_lock, self._exchanges, context=Context())

    def look_at_lock(self) -> None:
        """Go on if what was asked waits for nobody's lock, or not any more."""
        if not self._waits or not (backend := self._backend):
            return
        while not self.database.waits_for_lock(backend):
            if backend.has_answered(_LOOKS_AFTER_S):
                self._go_on_with_answer()
                return

    def _go_on_with_answer(self) -> None:
        waits, self._waits = self._waits, None
        if waits:
            waits()

    def _give_up_lock(self, exchange: int) -> None:
        """Take what PostgreSQL says to who has waited too long for a lock."""
        if self._waits and self._backend and exchange == self._exchanges:
            self.database.end_waiting(self._backend)
            self._go_on_with_answer()

    def _answer(self, text: str, trouble: Trouble | None, until: bytes) -> None:
        """Wait for PostgreSQL's answer, and carry it back or not."""
        backend = self._backend
        assert backend
        answer = self.database.told(backend.until(until))
        what = trouble.what if trouble else None
        if what is What.REFUSE:
            self._set("world.raise", "")
        if "LISTEN" in text:
            self._listens = True
        late_s = trouble.seconds if trouble and what is What.LATE_ANSWER else 0.0
        if what is What.TEAR_ANSWER:
            data = b"".join(frame.data for frame in answer)
            torn = data[: self._relay.chance.randint(0, len(data))]
            self._come(partial(self._hand_over, torn))
        if what in {What.LOSE_ANSWER, What.TEAR_ANSWER} or self._is_cut:
            self.cut()
        else:
            self._tell(answer, late_s)
        if "pg_notify" in text and until == b"Z" and any(frame.kind == b"D" for frame in answer):
            self._relay.tell_listeners(self.database)
        if backend.status != b"I":
            self._loop.call_later(_IDLE_S, self._end_idle, self._exchanges, context=Context())
        self._relay.look_at_locks(self.database)

    def _end_idle(self, exchange: int) -> None:
        """End it as PostgreSQL does when q stands still in the middle of a transaction."""
        if self._backend and exchange == self._exchanges:
            self.hang_up()

    def notify(self) -> None:
        """Carry a notification that PostgreSQL sends."""
        backend = self._backend
        # Who is in the middle of something gets it with the end of the answer.
        if self._listens and backend and backend.is_idle and not backend.is_closed:
            self._tell(backend.until(b"A"))

    def _set(self, name: str, value: str) -> None:
        """Set something of the session that the world's functions read."""
        assert self._backend
        # In a transaction that has failed, nothing can be set, and nothing is done.
        with suppress(Refused):
            self._backend.ask(f"select set_config('{name}', '{value}', false)")

    def _tell(self, frames: Sequence[Frame], late_s: float = 0.0) -> None:
        """Carry to q what PostgreSQL has said, and whether it has closed the connection."""
        data = b"".join(frame.data for frame in frames)
        self._come(partial(self._hand_over, data), late_s)
        if self._backend and self._backend.is_closed:
            self.hang_up()

    def _hand_over(self, data: bytes) -> None:
        if data and not self._is_left:
            self._protocol.data_received(data)
