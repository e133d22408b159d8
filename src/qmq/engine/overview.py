"""Commands that describe queues and count what they hold: who looks after many begins here."""

import asyncio
import re
from typing import Final

from qmq.descriptions import QueueInfo, QueueStats
from qmq.engine.places import Scope
from qmq.engine.queues import Queues
from qmq.engine.rates import RateSampler
from qmq.errors import InvalidArgument
from qmq.limits import PAGE_SIZE_MAX
from qmq.model.catalog import check_page_size
from qmq.model.queue import Queue
from qmq.model.selector import Selector, parse
from qmq.model.stats import stats_of

#: The number of the last queue of the page before; empty before the first.
_PAGE_TOKEN: Final = re.compile(r"[0-9]{0,18}", re.ASCII)


class Overview:
    """Commands that describe queues, one or page by page.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues, rates: RateSampler) -> None:
        """Look at the queues of a server; `rates` knows how fast messages come and go."""
        self._queues = queues
        self._rates = rates

    async def get_queue(self, reference: str) -> QueueInfo:
        """Describe a queue."""
        queue = await self._queues.find(reference)
        info = queue.info
        await self._queues.home(*info.home).settle()
        return info

    async def list_queues(
        self,
        page_size: int,
        page_token: str,
        selector: str = "",
        *,
        scope: Scope | None = None,
    ) -> tuple[list[QueueInfo], str]:
        """Describe queues in order of creation.

        Args:
            page_size: how many at most; 0 for all.
            page_token: what the call before returned; empty for the first page.
            selector: only those whose tags it matches, see `qmq.model.selector`; empty for
                all. A page is full then, too, unless it is the last one.
            scope: among which queues; None stands for all.

        Returns:
            The queues, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, page_token is none of ours, or selector
                is none.
        """
        wanted = parse(selector) if selector else None
        queues, next_token = await self._select(wanted, scope, page_size, page_token)
        infos = [queue.info for queue in queues]
        await self._queues.settle()
        return infos, next_token

    async def _select(
        self, selector: Selector | None, scope: Scope | None, page_size: int, page_token: str
    ) -> tuple[list[Queue], str]:
        """Find queues of a scope that a selector matches; the arguments are as in `list_queues`."""
        if selector is None and scope is None:
            return self._page(page_size, page_token)
        check_page_size(page_size)
        found: list[Queue] = []
        last_number, token = 0, page_token
        while True:
            queues, token = self._page(PAGE_SIZE_MAX, token)
            for queue in queues:
                if selector and not selector.matches(queue.info.tags):
                    continue
                if scope and not scope.covers(queue.info):
                    continue
                # Only one that is left over tells that there is another page.
                if page_size and len(found) == page_size:
                    return found, str(last_number)
                found.append(queue)
                last_number = queue.number
            if not token:
                return found, ""
            # Others have their turn: there may be a hundred thousand queues.
            await asyncio.sleep(0)

    async def stats(
        self, reference: str, page_size: int, page_token: str, scope: Scope | None = None
    ) -> tuple[list[QueueStats], str]:
        """Count the messages of one queue or, with an empty reference, of all.

        Args:
            reference: the queue's id or name, or "".
            page_size: how many queues at most, as in `list_queues`.
            page_token: as in `list_queues`.
            scope: among which queues, if it is of all; None stands for all.

        Returns:
            The counts, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, or page_token is none of ours.
        """
        if reference:
            queue = await self._queues.find(reference)
            queues, next_token = [queue], ""
        else:
            found, next_token = await self._select(None, scope, page_size, page_token)
            # Others had their turn while it was looked for them.
            queues = [each for each in found if self._queues.catalog.get(each.info.id) is each]
        for queue in queues:
            self._queues.pass_time(queue)
        now_ns = self._queues.steady_ns()
        counts = [
            stats_of(
                queue,
                now_ns,
                waiting=self._queues.waiting.count(queue),
                rates=self._rates.of(queue),
                with_top=bool(reference),
            )
            for queue in queues
        ]
        await self._queues.settle()
        return counts, next_token

    def _page(self, page_size: int, page_token: str) -> tuple[list[Queue], str]:
        if not _PAGE_TOKEN.fullmatch(page_token):
            raise InvalidArgument("page_token", "must be a next_page_token from an earlier reply")
        queues, more_after = self._queues.catalog.page(page_size, int(page_token or 0))
        return queues, "" if more_after is None else str(more_after)
