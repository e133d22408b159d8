"""Commands that show messages and change nothing: Browse and Explain."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from qmq.engine.finding import SEQ_MAX, find_messages, is_there
from qmq.engine.queues import Queues
from qmq.envelope import (
    encode_attempts,
    encode_browsed,
    place_of,
    tags_of,
)
from qmq.errors import InvalidArgument, MessageNotFound
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.model.browse import look, state_of
from qmq.model.catalog import parse_uuid
from qmq.model.changes import Changes
from qmq.model.delivery import Delivery
from qmq.model.index import seq_of, size_of
from qmq.model.obstacles import obstacle_in_line
from qmq.model.queue import Queue
from qmq.model.reply_sizes import attempts_bytes
from qmq.model.selector import Selector, parse
from qmq.values import MessageState, Outcome, Tag, utc

#: Messages on a page that does not say how many.
_PAGE_SIZE: Final = 100

#: The sequence number of the last message that was looked at; empty before the first page.
_PAGE_TOKEN: Final = re.compile(r"[0-9]{0,19}", re.ASCII)

#: What the token, and that a reply explains, add to a reply at most.
_REPLY_BYTES: Final = 32

#: What a reply adds to an envelope at most, attempts and the consumer's name apart.
_BROWSED_BYTES: Final = 64

#: What a reply adds to a sentence at most.
_SENTENCE_BYTES: Final = 4


class _Browsed(NamedTuple):
    """What is true of a message at the moment in which it was looked at."""

    entry: int
    age_ns: int
    state: MessageState
    #: Nothing of it if it was never on lease.
    delivery_count: int
    until_ns: int
    consumer: str
    #: Encoded.
    attempts: bytes

    def encode(self, envelope: bytes) -> bytes:
        """Encode a `proto.BrowsedMessage`."""
        return encode_browsed(
            envelope,
            self.attempts,
            state=self.state,
            delivery_count=self.delivery_count,
            consumer=self.consumer,
            until_ns=self.until_ns,
            age_ns=self.age_ns,
        )


class _Filter(NamedTuple):
    """What messages are to be like of which only the message itself tells."""

    #: All of them.
    tags: frozenset[Tag]
    selector: Selector | None
    #: Empty for any, as is the fair_key.
    group_id: str
    fair_key: str

    def fits(self, envelope: bytes) -> bool:
        """Whether a message is like that."""
        if self.tags or self.selector:
            tags = tags_of(envelope)
            if not self.tags.issubset(tags):
                return False
            if self.selector and not self.selector.matches(tags):
                return False
        if self.group_id or self.fair_key:
            _, group_id, fair_key = place_of(envelope)
            return self.group_id in {"", group_id} and self.fair_key in {"", fair_key}
        return True


class Explanation(NamedTuple):
    """Where a message is, and why it is not being handed out."""

    #: The encoding of a `proto.BrowsedMessage`.
    message: bytes
    #: How many messages are handed out before it, if it is ready.
    ahead: int
    #: Sentences, the most important first.
    reasons: list[str]


class Browsing:
    """Commands that show messages.

    Its methods raise the errors of `qmq.errors`; a reference to a queue is as in
    `qmq.engine.broker.Broker`.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._bytes_max = queues.message_bytes_max - _REPLY_BYTES

    async def browse(  # noqa: PLR0913 - All that a caller can say.
        self,
        reference: str,
        *,
        page_size: int = 0,
        page_token: str = "",
        states: Collection[MessageState] = (),
        tags: Sequence[Tag] = (),
        selector: str = "",
        group_id: str = "",
        fair_key: str = "",
        age_min_ns: int = 0,
        age_max_ns: int | None = None,
    ) -> tuple[list[bytes], str]:
        """Show a page of the messages of a queue, in its order.

        Args:
            reference: the queue's id or name.
            page_size: how many at most; 0 leaves that to q. There may be fewer, since no
                more is looked at than `limits.BROWSED_MESSAGES_MAX`, and shown than fits
                into a reply.
            page_token: what the call before returned; empty for the first page.
            states: show only those in one of them; empty for all.
            tags: show only those that have all of them.
            selector: show only those whose tags it matches, see `qmq.model.selector`; empty
                for all.
            group_id: show only those that were added with it; empty for all.
            fair_key: likewise.
            age_min_ns: show only those that have been in the queue for so long at least.
            age_max_ns: and for so long at most; None for any time.

        Returns:
            The encodings of `proto.BrowsedMessage`s, and the token of the next page or "".

        Raises:
            InvalidArgument: page_size is out of range, page_token is none of ours, or selector
                is none.
        """
        page_size = _checked_page_size(page_size, page_token)
        terms = parse(selector) if selector else None
        wanted = _Filter(frozenset(tags), terms, group_id, fair_key)
        queues = self._queues
        queue = await queues.find(reference)
        store = queues.store_to_read(queue)
        queues.pass_time(queue)
        now_ns = queues.steady_ns()
        # How old a message is is in its number: what is too old or too young stands aside.
        first_seq = 0 if age_max_ns is None else max(0, now_ns - age_max_ns)
        last_seq = now_ns - age_min_ns if age_min_ns > 0 else SEQ_MAX
        first_seq = max(first_seq, int(page_token or -1) + 1)
        with_fresh = not states or MessageState.READY in states
        seen = look(queue, first_seq, last_seq, BROWSED_MESSAGES_MAX, with_fresh=with_fresh)
        # Which of them fit is not known before they have been read.
        count_max = BROWSED_MESSAGES_MAX if any(wanted) else page_size
        found, next_seq = self._choose(queue, seen.entries, states, count_max, now_ns)
        if next_seq is None and seen.has_more:
            next_seq = seen.last_seq + 1
        envelopes = await store.commit(Changes(), [each.entry for each in found])
        messages: list[bytes] = []
        for each, envelope in zip(found, envelopes, strict=True):
            if not wanted.fits(envelope):
                continue
            if len(messages) == page_size:
                next_seq = seq_of(each.entry)
                break
            messages.append(each.encode(envelope))
        return messages, "" if next_seq is None else str(next_seq - 1)

    def _choose(
        self,
        queue: Queue,
        entries: Sequence[int],
        states: Collection[MessageState],
        count_max: int,
        now_ns: int,
    ) -> tuple[list[_Browsed], int | None]:
        """Choose messages for a reply.

        Returns:
            The messages; and the sequence number of the first one that is left for another
            reply, if one is.
        """
        found: list[_Browsed] = []
        left = self._bytes_max
        for entry in entries:
            delivery = queue.leases.by_seq.get(seq_of(entry))
            if states and state_of(delivery) not in states:
                continue
            left -= _reply_bytes(entry, delivery)
            if len(found) == count_max or (left < 0 and found):
                return found, seq_of(entry)
            found.append(_browsed(entry, delivery, now_ns, self._bytes_max))
        return found, None

    async def explain(
        self, reference: str, message_id: str, created_ns: int | None = None
    ) -> Explanation:
        """Tell where a message is, and why it is not being handed out now.

        Args:
            reference: the queue's id or name.
            message_id: the message's UUID.
            created_ns: when it was created, as its metadata says; None if that is not known.
                A message is not among those that came before it was created, and mostly
                among the first ones that came then.

        Raises:
            InvalidArgument: message_id is no UUID.
            MessageNotFound: the queue holds no such message.
        """
        id_ = parse_uuid(message_id)
        if id_ is None:
            raise InvalidArgument("message_id", f"{message_id[:80]!r} is no UUID")
        queues = self._queues
        queue = await queues.find(reference)
        found = await find_messages(queues, queue, (id_,), created_ns)
        store = queues.store_to_read(queue)
        queues.pass_time(queue)
        entry = found.get(id_)
        # It may have left while others were looked at.
        if entry is None or not is_there(queue, entry):
            await store.settle()
            raise MessageNotFound(queue.info.id, id_)
        delivery = queue.leases.by_seq.get(seq_of(entry))
        is_ready = state_of(delivery) is MessageState.READY
        ahead = queue.count_before(entry) if is_ready else 0
        reasons = self._fitting(self._reasons(queue, delivery, ahead), entry)
        size = sum(len(text) + _SENTENCE_BYTES for text in reasons)
        browsed = _browsed(entry, delivery, queues.steady_ns(), self._bytes_max - size)
        (envelope,) = await store.commit(Changes(), [entry])
        return Explanation(browsed.encode(envelope), ahead, [text.decode() for text in reasons])

    def _reasons(self, queue: Queue, delivery: Delivery | None, ahead: int) -> Iterator[str]:
        """Say why a message is not being handed out now."""
        if pause := queue.info.pause:
            yield f"the queue is paused since {utc(pause.since_ns)}: it hands out nothing"
        state = state_of(delivery)
        if delivery and state is MessageState.LEASED:
            consumer = repr(delivery.consumer) if delivery.consumer else "a consumer without a name"
            yield (
                f"it is leased to {consumer} until {utc(delivery.until_ns)},"
                f" since {utc(delivery.leased_ns)}"
            )
        elif delivery and state is MessageState.DELAYED:
            yield _why_delayed(delivery)
        else:
            yield from self._why_ready(queue, delivery, ahead)

    def _why_ready(self, queue: Queue, delivery: Delivery | None, ahead: int) -> Iterator[str]:
        """Say why a message is not being handed out that could be, but for a pause."""
        if ahead == 1:
            yield "1 message is handed out before it"
        elif ahead:
            yield f"{ahead} messages are handed out before it"
        if queue.info.pause:
            return
        if obstacle := queue.gate() or obstacle_in_line(queue, delivery):
            yield obstacle
            return
        waiting = self._queues.waiting
        promised = queue.available - waiting.free(queue)
        if ahead < promised:
            yield "it is promised to a caller that has waited for it, and takes it in a moment"
            return
        if not waiting.count(queue):
            leases = queue.leases
            facts = ["nobody waits for a message of the queue"]
            if leases.leased:
                facts.append(f"its consumers have {leases.leased} on lease")
            if leases.last_leased_ns:
                facts.append(f"the last lease began at {utc(leases.last_leased_ns)}")
            yield "; ".join(facts)
        if ahead == promised:
            yield "it is ready: the next Lease or Pop gets it"

    def _fitting(self, sentences: Iterator[str], entry: int) -> list[bytes]:
        """Encode sentences, as far as a reply has room for them beside a message."""
        left = self._bytes_max - size_of(entry) - _BROWSED_BYTES
        fitting: list[bytes] = []
        for sentence in sentences:
            text = sentence.encode()[: max(0, left)].decode(errors="ignore").encode()
            if text:
                fitting.append(text)
            left -= len(text) + _SENTENCE_BYTES
        return fitting


def _checked_page_size(page_size: int, page_token: str) -> int:
    """Return how many messages are on a page, if that is a request for one.

    Raises:
        InvalidArgument: page_size is out of range, or page_token is none of ours.
    """
    if not 0 <= page_size <= BROWSED_MESSAGES_MAX:
        raise InvalidArgument(
            "page_size", f"must be 0 ({_PAGE_SIZE}) to {BROWSED_MESSAGES_MAX}; got {page_size}"
        )
    if not _PAGE_TOKEN.fullmatch(page_token):
        raise InvalidArgument("page_token", "must be a next_page_token from an earlier reply")
    return page_size or _PAGE_SIZE


def _browsed(entry: int, delivery: Delivery | None, now_ns: int, bytes_max: int) -> _Browsed:
    """Tell what is true of a message now, in a reply that may take so many bytes."""
    age_ns = max(0, now_ns - seq_of(entry))
    if delivery is None:
        return _Browsed(entry, age_ns, MessageState.READY, 0, 0, "", b"")
    state = state_of(delivery)
    left = bytes_max - size_of(entry) - _BROWSED_BYTES
    consumer = delivery.consumer if state is MessageState.LEASED else ""
    if len(consumer.encode()) > left:
        consumer = ""
    attempts = encode_attempts(delivery.attempts, left - len(consumer.encode()))
    until_ns = 0 if state is MessageState.READY else delivery.until_ns
    return _Browsed(entry, age_ns, state, delivery.count, until_ns, consumer, attempts)


def _reply_bytes(entry: int, delivery: Delivery | None) -> int:
    """Return what a message takes in a reply at most."""
    size = size_of(entry) + _BROWSED_BYTES
    if delivery is None:
        return size
    return size + attempts_bytes(delivery) + len(delivery.consumer.encode())


def _why_delayed(delivery: Delivery) -> str:
    """Say why a message is kept back."""
    kept = f"it is kept back until {utc(delivery.until_ns)}"
    if not delivery.attempts:
        return kept
    last = delivery.attempts[-1]
    why = f"since its delivery {delivery.count} has failed"
    if last.outcome is Outcome.RELEASED:
        why = "since it was released with a delay"
    return f"{kept}, {why}: {last.reason}" if last.reason else f"{kept}, {why}"
