"""Looking after one queue: what it is and holds, and how it works."""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from qmq.client._async.grouping import AsyncGrouping
from qmq.client.decode import (
    browsed,
    deletion_error,
    explanation,
    moved_message,
    queue_info,
    queue_stats,
    redrive,
)
from qmq.client.encode import browse_request, picked, queue_settings, redrive_request
from qmq.client.errors import QmqError, QueueNotFound
from qmq.client.options import Duration
from qmq.client.queue_values import QueueInfo, QueueSettings, QueueStats, Redrive
from qmq.client.values import (
    BrowsedMessage,
    DeadLetterReasonName,
    Explanation,
    Message,
    MessageStateName,
    Metadata,
    MovedMessage,
    Tags,
)
from qmq.wire import q_pb2 as pb

T = TypeVar("T")


class AsyncOversight(AsyncGrouping[T]):
    """What an AsyncQueue has for those who look after the queue."""

    async def browse(  # noqa: PLR0913 - What is to be shown, each by name.
        self,
        *,
        states: Iterable[MessageStateName] = (),
        tags: Tags = (),
        selector: str = "",
        group_id: str = "",
        fair_key: str = "",
        age_min: Duration | None = None,
        age_max: Duration | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[BrowsedMessage[T]]:
        """Go through the messages in the queue, in its order, and change nothing.

        What comes or leaves meanwhile may be shown or not.

        Args:
            states: only messages that are READY, LEASED or DELAYED; all if left out.
            tags: only messages that have all these tags.
            selector: only messages whose tags it matches, such as `kind in (a,b),!old`.
            group_id: only messages that were added with this group_id.
            fair_key: only messages that were added with this fair_key.
            age_min: only messages that have been in the queue for so many seconds at least.
            age_max: only messages that have been in it for so many seconds at most.
            page_size: how many to ask for at a time, up to 1,000.

        Raises:
            InvalidArgument: `page_size` or a tag is out of range, or the selector is none.
        """
        request = browse_request(
            self.queue_id,
            states=states,
            tags=tags,
            selector=selector,
            group_id=group_id,
            fair_key=fair_key,
            age_min=age_min,
            age_max=age_max,
            page_size=page_size,
        )
        while True:
            reply = await self._connection.ask(
                "Browse", request, pb.BrowseResponse, repeatable=True
            )
            for wire in reply.messages:
                yield browsed(wire, self._codec)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    async def explain(self, message: Message[Any] | Metadata | str) -> Explanation[T]:
        """Tell where a message is, and why it is not being handed out now.

        Args:
            message: what `add` returned, a message, or an id; with the id alone the server may
                have to search.

        Raises:
            MessageNotFound: the queue does not hold it, or not any more.
        """
        request = pb.ExplainRequest(queue_id=self.queue_id)
        if isinstance(message, str):
            request.message_id = message
        else:
            request.message_id = message.id
            request.created.FromNanoseconds(message.created_ns)
        reply = await self._connection.ask("Explain", request, pb.ExplainResponse, repeatable=True)
        return explanation(reply, self._codec)

    async def purge(self) -> int:
        """Remove all messages, also those on lease, and return how many there were.

        It is not repeated when its answer was lost: there may be new messages by then.
        """
        request = pb.PurgeRequest(queue_id=self.queue_id)
        reply = await self._connection.ask("Purge", request, pb.PurgeResponse)
        return reply.removed

    async def delete_messages(
        self, messages: Iterable[Message[Any] | Metadata | str], *, leased: bool = False
    ) -> list[QmqError | None]:
        """Remove messages for good, in whatever state they are.

        Args:
            messages: up to 1,000: messages, what `add` returned, or ids; with an id alone the
                server may have to search.
            leased: also those that are on lease; whoever has one can do nothing with it any more.

        Returns:
            For each, in order, None; or MessageNotFound, also if the call was repeated since its
            answer was lost, MessageLeased, or InvalidArgument if the id is none.

        Raises:
            InvalidArgument: they are more than 1,000, or none.
        """
        ids, created_ns = picked(messages)
        request = pb.DeleteMessagesRequest(queue_id=self.queue_id, message_ids=ids, leased=leased)
        if created_ns:
            request.created_from.FromNanoseconds(created_ns)
        reply = await self._connection.ask(
            "DeleteMessages", request, pb.DeleteMessagesResponse, repeatable=True
        )
        return [deletion_error(each) for each in reply.results]

    async def move_messages(
        self,
        messages: Iterable[Message[Any] | Metadata | str],
        to: str = "",
        *,
        leased: bool = False,
    ) -> list[MovedMessage | QmqError]:
        """Move messages to the end of another queue of the same store, in their order here.

        Each is moved whole or not at all. It keeps what it was added with and its history; its
        deliveries count from 1 again.

        Args:
            messages: as in `delete_messages`.
            to: where to, by id or name; left out, each dead letter goes to the queue it came from.
            leased: as in `delete_messages`.

        Returns:
            For each, in order, where it is now; or MessageNotFound, MessageLeased, NoDeadLetter,
            QueueFull, AddsPaused, QueueNotFound, AccessDenied, or InvalidArgument if the id is
            none.

        Raises:
            InvalidArgument: they are more than 1,000, or none, or they are there already.
            StoresDiffer: the other queue lives in another store, or on another shard.
        """
        ids, created_ns = picked(messages)
        request = pb.MoveMessagesRequest(
            queue_id=self.queue_id, message_ids=ids, target_queue_id=to, leased=leased
        )
        if created_ns:
            request.created_from.FromNanoseconds(created_ns)
        reply = await self._connection.ask(
            "MoveMessages", request, pb.MoveMessagesResponse, repeatable=True
        )
        return [moved_message(each) for each in reply.results]

    async def pause(self, *, adds: bool = False) -> QueueInfo:
        """Hand out no messages until `resume`. What is on lease can still be acked.

        Args:
            adds: take no messages either.
        """
        request = pb.PauseRequest(queue_id=self.queue_id, adds=adds)
        reply = await self._connection.ask("Pause", request, pb.PauseResponse, repeatable=True)
        return queue_info(reply.queue)

    async def resume(self) -> QueueInfo:
        """End a pause. That there is none is no error."""
        request = pb.ResumeRequest(queue_id=self.queue_id)
        reply = await self._connection.ask("Resume", request, pb.ResumeResponse, repeatable=True)
        return queue_info(reply.queue)

    async def update(
        self, settings: QueueSettings | None = None, *, limit: int | None = None
    ) -> QueueInfo:
        """Change how the queue hands out messages, and how many it holds.

        Args:
            settings: what to change; what it leaves out stays as it is.
            limit: most messages it holds; -1 is no limit, None leaves it. A queue that holds
                more keeps them, and takes no further ones.

        Raises:
            InvalidArgument: a setting breaks a rule.
            QueueNotFound: there is no such queue, or no such dead-letter queue.
        """
        request = pb.UpdateQueueRequest(
            queue_id=self.queue_id,
            settings=queue_settings(settings) if settings else None,
            limit=limit,
        )
        reply = await self._connection.ask(
            "UpdateQueue", request, pb.UpdateQueueResponse, repeatable=True
        )
        return queue_info(reply.queue)

    async def redrive(  # noqa: PLR0913 - What is to be moved, each by name.
        self,
        target_queue_id: str = "",
        *,
        tags: Tags = (),
        reasons: Iterable[DeadLetterReasonName] = (),
        text: str = "",
        age_min: Duration | None = None,
        age_max: Duration | None = None,
        messages_max: int = 0,
        messages_per_second: float = 0,
        failed_again_max: float | None = None,
        dry_run: bool = False,
    ) -> Redrive:
        """Start to move the dead letters in this queue back: a job that goes on by itself.

        `AsyncClient.redrive` tells how far it is. It is not repeated when its answer was lost:
        there might be two jobs.

        Args:
            target_queue_id: where to, by id or name; left out, each goes to the queue it came
                from.
            tags: only dead letters that have all these tags.
            reasons: only those with one of these reasons: REJECTED, DELIVERY_COUNT_MAX, EXPIRED,
                OVERFLOW or SKIPPED.
            text: only those whose text contains this.
            age_min: only those that have been here for so many seconds at least.
            age_max: only those that have been here for so many seconds at most.
            messages_max: how many to move at most; 0 for all that are here now.
            messages_per_second: how many to move a second at most; 0 for as many as possible.
            failed_again_max: stop by itself when so great a share of what was moved, 0 to 1,
                has become a dead letter again; 0.5 by default.
            dry_run: count what would be moved, and move nothing.
        """
        request = redrive_request(
            self.queue_id,
            target_queue_id,
            tags=tags,
            reasons=reasons,
            text=text,
            age_min=age_min,
            age_max=age_max,
            messages_max=messages_max,
            messages_per_second=messages_per_second,
            failed_again_max=failed_again_max,
            dry_run=dry_run,
        )
        reply = await self._connection.ask("StartRedrive", request, pb.StartRedriveResponse)
        return redrive(reply.redrive)

    async def tag(self, key: str, value: str) -> None:
        """Add a tag to the queue. That it has it already is no error.

        Raises:
            InvalidArgument: the tag breaks a rule, or the queue has too many.
        """
        request = pb.AddQueueTagRequest(queue_id=self.queue_id, tag=pb.Tag(key=key, value=value))
        await self._connection.ask("AddQueueTag", request, pb.AddQueueTagResponse, repeatable=True)

    async def untag(self, key: str, value: str) -> None:
        """Remove a tag from the queue. That it does not have it is no error."""
        request = pb.DeleteQueueTagRequest(queue_id=self.queue_id, tag=pb.Tag(key=key, value=value))
        await self._connection.ask(
            "DeleteQueueTag", request, pb.DeleteQueueTagResponse, repeatable=True
        )

    async def info(self) -> QueueInfo:
        """Return what the queue is: id, name, store, moment of creation, tags, settings."""
        request = pb.GetQueueRequest(queue_id=self.queue_id)
        reply = await self._connection.ask(
            "GetQueue", request, pb.GetQueueResponse, repeatable=True
        )
        return queue_info(reply.queue)

    async def stats(self) -> QueueStats:
        """Return what the queue holds now, and what went through it."""
        request = pb.StatsRequest(queue_id=self.queue_id)
        reply = await self._connection.ask("Stats", request, pb.StatsResponse, repeatable=True)
        return queue_stats(reply.queues[0])

    async def delete(self) -> None:
        """Delete the queue and every message in it. That there is none is no error.

        Raises:
            QueueInUse: it is the dead-letter queue of another one.
        """
        request = pb.DeleteQueueRequest(queue_id=self.queue_id)
        with suppress(QueueNotFound):
            await self._connection.ask(
                "DeleteQueue", request, pb.DeleteQueueResponse, repeatable=True
            )
