"""The CLUSTER store: in PostgreSQL before the reply, for the q that leads."""

from collections.abc import Callable
from random import Random
from typing import Self

from qmq.errors import Unavailable
from qmq.limits import CACHE_BYTES_MAX, JOURNAL_PENDING_BYTES_MAX
from qmq.model.footprint import Footprint
from qmq.store.journalled import INDEX_BYTES, JournalledStore
from qmq.store.postgres.connecting import ANSWER_S, asked
from qmq.store.postgres.figures import ClusterFigures
from qmq.store.postgres.journal import Journal, prepare
from qmq.store.postgres.loading import Loaded, load
from qmq.store.postgres.term import Connect, Term
from qmq.values import Durability


def _tell_nobody(read: int, total: int) -> None:
    """Say nothing of what was read so far."""


class PostgresStore(JournalledStore[Journal]):
    """Keeps messages in a database that others wait to lead. See `qmq.store.base.QueueStore`.

    It is of one term, and of no use after that: who leads next reads all anew.
    """

    def __init__(self, term: Term, *, cache_bytes_max: int, footprint: Footprint | None) -> None:
        """Begin with nothing; see `open`."""
        super().__init__(cache_bytes_max=cache_bytes_max, footprint=footprint)
        self._term = term

    @classmethod
    async def open(  # noqa: PLR0913 - What it is made of, each by name.
        cls,
        connect: Connect,
        term: Term,
        *,
        cache_bytes_max: int = CACHE_BYTES_MAX,
        pending_bytes_max: int = JOURNAL_PENDING_BYTES_MAX,
        footprint: Footprint | None = None,
        on_end: Callable[[Unavailable], None],
        on_progress: Callable[[int, int], None] = _tell_nobody,
        random: Random | None = None,
    ) -> Self:
        """Read what the database holds, in the event loop that will use the store.

        Args:
            connect: opens connections to the primary.
            term: the leadership, which has just been won.
            cache_bytes_max: bytes of memory that envelopes may take.
            pending_bytes_max: bytes of changes that wait for the database before it is busy.
            footprint: counts what messages take in memory, for as long as the term lasts.
            on_end: called once, with the reason, when the store will take nothing any more.
            on_progress: called now and then with how many messages were read, and about how
                many there are.
            random: spreads tries to reach the database that fail; any if it is left out.

        Raises:
            DatabaseAway: the database does not answer.
        """
        store = cls(term, cache_bytes_max=cache_bytes_max, footprint=footprint)
        connection = await connect()
        try:
            await asked(connection, prepare(connection), ANSWER_S)
            loaded = await load(connection, store._together, term.durability_max, on_progress)
        except BaseException:
            connection.terminate()
            raise
        store._take_over(loaded)
        store._journal = journal = Journal(
            connect,
            connection,
            term,
            number=loaded.batch,
            on_end=on_end,
            pending_bytes_max=pending_bytes_max,
            random=random or Random(),  # noqa: S311 - It spreads load, and protects nothing.
        )
        found = loaded.found
        journal.last_number = found.last_number
        journal.sweep_left(loaded.left, known=found.strangers, leases=found.leases)
        return store

    def _take_over(self, loaded: Loaded) -> None:
        found = loaded.found
        #: The queues found in the database, in order of creation.
        self.queues = found.queues
        #: The redrives found there, in order of their starts: id, and what was kept.
        self.redrives = found.redrives
        #: The schedules found there, in order of their creation: id, and what was kept.
        self.schedules = found.schedules
        #: The highest number that a queue, or what is left over of one, ever had.
        self.last_queue_number = found.last_queue_number
        self._footprint.left -= found.live * INDEX_BYTES

    @property
    def durability_max(self) -> Durability:
        """How durable it makes a change at most."""
        return self._term.durability_max

    def figures(self) -> ClusterFigures:
        """How the database does, at this moment."""
        return self._journal.figures

    async def close(self) -> None:
        """Commit what is under way, if the database answers, and let go of it."""
        await self._journal.close()
