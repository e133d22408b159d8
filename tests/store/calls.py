"""Calls to a server, drawn at random, and what a server and the naive model answer to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from qmq.descriptions import BackOff, MessageOptions, QueueSettings
from qmq.engine import adding
from qmq.engine.broker import Broker
from qmq.engine.picking import Moved
from qmq.errors import InvalidArgument, LeaseLost, QError, QueueEmpty, StoresDiffer
from qmq.values import (
    NS_PER_S,
    Attempt,
    DeadLetter,
    DeadLetterReason,
    GroupState,
    NackKind,
    Outcome,
)
from qmq.wire import q_pb2 as pb
from tests.leased import leased_messages
from tests.store import drawing
from tests.store.asked import Some, asked, changed_settings, options_of
from tests.store.drawing import Draw
from tests.store.naive import Added, NaiveBroker, Repeat
from tests.store.naive_message import NaiveLease, Shown
from tests.store.naive_picking import NaiveMoved

#: Commands of the broker that are in its part for leases.
_OF_LEASING = frozenset({"lease", "ack", "nack", "extend", "complete"})
#: Those that are in its part for groups.
_OF_GROUPING = frozenset({"list_groups", "pause_group", "resume_group", "skip_group"})

#: A place that no queue has.
NOWHERE = 9
#: Which queue a call is about: a place in the list of all, which has no end.
places = drawing.sampled_from([1, 1, 1, 1, 1, 1, 0, 0, 2, 2, 3, 4, NOWHERE])
#: What the payload of a message takes besides its number.
sizes = drawing.sampled_from([0, 0, 3, 300, 5_000])
#: Which lease: a pool of leases in the first digit (what can be acked, what was ever given,
#: what is none of the queue), and which of them, from the latest on, in the second.
lease_numbers = drawing.lists(
    drawing.builds(
        lambda pool, which: 10 * pool + which,
        drawing.sampled_from([0, 0, 0, 0, 1, 1, 1, 2]),
        drawing.integers(0, 9),
    ),
    min_size=1,
    max_size=4,
)
#: Seconds; what is given here is short enough to end while a history lasts.
durations = drawing.sampled_from([None, 1, 1, 5, 20])
delays = drawing.sampled_from([None, None, 0, 1, 3])
#: Groups: those of `asked.asked`, and one that no message is in.
group_ids = drawing.sampled_from("gggghhij")


@dataclass(frozen=True, repr=False)
class Call:
    """One call to a queue. What it does not need has its default."""

    verb: str
    place: int
    by_name: bool
    is_cancelled: bool
    sizes: Sequence[int] = ()
    #: What each message is added with, as `asked.asked` has it; nothing for those that are missing.
    options: Sequence[Some] = ()
    partial: bool = False
    most: int = 1
    leases: Sequence[int] = ()
    kind: NackKind = NackKind.FAIL
    seconds: int | None = None
    #: Of a Lease: the consumer; of a Nack: why; of a group: which one.
    text: str = ""
    #: Of a Complete: further queues, for what it adds.
    targets: Sequence[int] = ()
    change: "Change | None" = None
    states: Sequence[GroupState] = ()

    def __repr__(self) -> str:
        """Leave out what has its default."""
        said = [each for each in fields(self) if getattr(self, each.name) != each.default]
        return f"Call({', '.join(f'{each.name}={getattr(self, each.name)!r}' for each in said)})"


class Change(NamedTuple):
    """New settings of a queue."""

    delivery_count_max: int
    #: A place, as of a `Call`; None for no dead-letter queue.
    dead_letters: int | None
    base_s: int
    lease_s: int
    limit: int | None
    #: Others, as `asked.new_settings` has them.
    others: Some

    def settings(self, known: QueueSettings, dead_letter_queue_id: str) -> QueueSettings:
        """Change settings."""
        back_off = BackOff(base_ns=self.base_s * NS_PER_S, factor=2.0, jitter=0)
        return replace(
            known,
            delivery_count_max=self.delivery_count_max,
            dead_letter_queue_id=dead_letter_queue_id,
            back_off=back_off,
            lease_duration_ns=self.lease_s * NS_PER_S,
            **self.others,
        )


changes = drawing.builds(
    Change,
    delivery_count_max=drawing.sampled_from([0, 0, 1, 2, 3]),
    dead_letters=drawing.sampled_from([None, 0, 0, 0, 1, 2, NOWHERE]),
    base_s=drawing.sampled_from([0, 2]),
    lease_s=drawing.sampled_from([2, 10]),
    limit=drawing.sampled_from([None, None, 0, 2, 4]),
    others=changed_settings,
)


def _calls(verb: str, **fields: Draw[Any]) -> Draw[Call]:
    return drawing.builds(
        Call,
        verb=drawing.just(verb),
        place=places,
        by_name=drawing.booleans(),
        is_cancelled=drawing.sampled_from([False] * 5 + [True]),
        **fields,
    )


def _sizes(most: int) -> Draw[list[int]]:
    return drawing.lists(sizes, min_size=1, max_size=most)


def _options(most: int) -> Draw[list[Some]]:
    return drawing.one_of(drawing.just([]), drawing.lists(asked, min_size=1, max_size=most))


_BY_VERB: Final = {
    "add": _calls("add", sizes=_sizes(1), options=_options(1)),
    "add_batch": _calls(
        "add_batch", sizes=_sizes(6), options=_options(6), partial=drawing.booleans()
    ),
    "lease": _calls(
        "lease",
        most=drawing.integers(1, 4),
        seconds=durations,
        text=drawing.sampled_from(["", "w1", "w2"]),
    ),
    "ack": _calls("ack", leases=lease_numbers),
    "nack": _calls(
        "nack",
        leases=lease_numbers,
        kind=drawing.sampled_from([NackKind.FAIL, NackKind.FAIL, *NackKind]),
        seconds=delays,
        text=drawing.sampled_from(["", "no disk"]),
    ),
    "extend": _calls("extend", leases=lease_numbers, seconds=durations),
    "complete": _calls(
        "complete",
        leases=drawing.one_of(drawing.lists(drawing.integers(0, 9), max_size=3), lease_numbers),
        targets=drawing.lists(places, max_size=2),
        sizes=_sizes(2),
        options=_options(2),
        partial=drawing.booleans(),
    ),
    "pop": _calls("pop"),
    "pop_batch": _calls("pop_batch", most=drawing.integers(1, 3)),
    "peek": _calls("peek"),
    "update_queue": _calls("update_queue", change=changes),
    "pause": _calls("pause", partial=drawing.booleans()),
    "resume": _calls("resume"),
    "purge": _calls("purge"),
    "delete_queue": _calls("delete_queue"),
    "list_groups": _calls(
        "list_groups",
        states=drawing.lists(drawing.sampled_from(list(GroupState)), max_size=3),
    ),
    "pause_group": _calls("pause_group", text=group_ids),
    "resume_group": _calls("resume_group", text=group_ids),
    "skip_group": _calls("skip_group", text=group_ids, most=drawing.integers(1, 3)),
}


def several(most: int, **weights: int) -> Draw[list[Call]]:
    """Return calls that are made at once.

    Args:
        most: how many at most.
        weights: by verb, how often it is called in comparison with others.
    """
    verbs = [verb for verb, weight in weights.items() for _ in range(weight)]
    one = drawing.sampled_from(verbs).flatmap(_BY_VERB.__getitem__)
    return drawing.lists(one, min_size=1, max_size=most)


#: Anything.
anything: Final = dict.fromkeys(_BY_VERB, 2) | {
    "lease": 6,
    "ack": 3,
    "nack": 6,
    "resume": 4,
    "purge": 1,
    "delete_queue": 1,
    "list_groups": 1,
    "pause_group": 1,
    "resume_group": 3,
}


class Ready(NamedTuple):
    """A call with all that it says, to be made of a server and of the naive model."""

    call: Call
    #: What it is called there.
    verb: str
    #: The id of the queue that it is about, or one that no queue has.
    queue_id: str
    arguments: Sequence[Any]
    keywords: dict[str, Any]
    #: The leases that it is about.
    lease_ids: Sequence[str] = ()

    def to(self, server: Broker | NaiveBroker) -> Any:  # noqa: ANN401 - As the server returns it.
        """Call a broker or the naive model, and return what it returns."""
        keywords = self.keywords
        if isinstance(server, NaiveBroker):
            return getattr(server, self.verb)(*self.arguments, **keywords)
        if self.verb == "lease":
            keywords = keywords | {"wait_s": 0.0, "is_gone": None}
        if self.verb == "list_groups":
            keywords = keywords | {"page_size": 1_000}
        part: Any = server
        if self.verb in _OF_LEASING:
            part = server.leasing
        elif self.verb in _OF_GROUPING:
            part = server.grouping
        return getattr(part, self.verb)(*self.arguments, **keywords)


def ready(  # noqa: C901, PLR0912 - A table.
    call: Call,
    reference: Callable[[int, bool], str],
    lease_ids: Callable[[str, Sequence[int]], list[str]],
    new_payload: Callable[[int], bytes],
    now_ns: int,
) -> Ready:
    """Say of a call what queues and leases it is about, as things are.

    Args:
        call: the call.
        reference: returns the id or name of a queue in a place.
        lease_ids: returns leases of a queue, given its id.
        new_payload: returns a payload that there is only once, of about that size.
        now_ns: the present, as people know it.
    """
    name, queue_id = reference(call.place, call.by_name), reference(call.place, False)  # noqa: FBT003
    messages = [(b"", new_payload(size)) for size in call.sizes]
    options = {
        at: options_of(found, now_ns)
        for at, found in enumerate(call.options[: len(messages)])
        if found
    }
    leases = lease_ids(queue_id, call.leases)
    verb = call.verb
    duration_ns = None if call.seconds is None else call.seconds * NS_PER_S
    arguments: list[Any] = [name]
    keywords: dict[str, Any] = {}
    match call.verb:
        case "add" if options:
            verb = "add_with"
            arguments += [messages[0][1], b"", options[0]]
        case "add":
            arguments.append(messages[0][1])
        case "add_batch":
            arguments.append(messages)
            keywords = {"partial": call.partial}
            if options:
                verb = "add_batch_with"
                arguments.append(options)
        case "pop_batch":
            arguments.append(call.most)
        case "lease":
            arguments.append(call.most)
            keywords = {"duration_ns": duration_ns, "consumer": call.text}
        case "ack":
            arguments.append(leases)
        case "nack":
            arguments += [leases, call.kind]
            keywords = {"delay_ns": duration_ns, "reason": call.text}
        case "extend":
            arguments += [leases, duration_ns]
        case "complete":
            targets = [reference(place, call.by_name) for place in call.targets]
            output = [(target, [(b"", new_payload(0)) for _ in messages]) for target in targets]
            # Who takes care names no lease twice.
            leases = leases if call.partial else list(dict.fromkeys(leases))
            arguments = [[(name, leases)], output]
            if options:
                arguments.append([options for _ in output])
        case verb if verb in _OF_GROUPING:
            more, keywords = _of_group(call)
            arguments += more
        case "pause":
            keywords = {"adds": call.partial}
        case "update_queue":
            arguments += _of_change(call.change, reference)
    return Ready(call, verb, queue_id, arguments, keywords, leases)


def _of_group(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Return what a call about groups says besides which queue it is about."""
    if call.verb == "list_groups":
        return [], {"states": call.states}
    return [call.text, call.most] if call.verb == "skip_group" else [call.text], {}


def _of_change(change: Change | None, reference: Callable[[int, bool], str]) -> list[Any]:
    """Return what an UpdateQueue says besides which queue it is about."""
    assert change
    dead = "" if change.dead_letters is None else reference(change.dead_letters, False)  # noqa: FBT003
    return [lambda known: change.settings(known, dead), change.limit]


class Told(NamedTuple):
    """What who leases a message is told, apart from the name of the lease."""

    message: Shown
    until_ns: int
    delivery_count: int


def outcome(result: object) -> object:  # noqa: C901, PLR0911 - A table.
    """Reduce what was returned or raised to what the naive model can say of it."""
    match result:
        case InvalidArgument():
            return InvalidArgument, result.field
        case LeaseLost():
            return LeaseLost, result.metadata["lease_id"]
        case QueueEmpty():
            # Whether it is paused as well is looked up when the answer goes out.
            return QueueEmpty, result.metadata["queue_id"]
        case StoresDiffer():
            return StoresDiffer
        case QError():
            return type(result), result.message
        case BaseException():
            raise result
        case list():
            return [outcome(each) for each in result]
        case NaiveLease():
            return Told(result.shown, result.until_ns, result.count)
        case Added():
            return [outcome(each) for each in result.told]
        case Repeat():
            return Repeat
        case _:
            return result


def answer(verb: str, result: object) -> object:  # noqa: PLR0911 - A table.
    """Do the same for what a broker returned or raised, which is encoded."""
    match result:
        case (list() as groups, str()):
            return groups
        case list() if verb in {"add_batch", "complete"}:
            return len(result)
        case adding.Added():
            envelopes = iter(result.envelopes)
            return [
                Repeat if at in result.known else answer(verb, next(envelopes))
                for at in range(len(result.metas))
            ]
        case (bytes() as envelope, bool() as was_known):
            return Repeat if was_known else answer(verb, envelope)
        case bytes() if verb == "lease":
            return [
                Told(
                    shown(each.message),
                    each.lease_expires_at.ToNanoseconds(),
                    each.delivery_count,
                )
                for each in leased_messages(result)
            ]
        case list():
            return [answer(verb, each) for each in result]
        case bytes():
            return shown(pb.Message.FromString(result))
        case _:
            return outcome(result)


def ids_of(result: object, right: object) -> list[tuple[bytes, str]]:
    """Return what messages that were added are called, or those that are there already.

    Args:
        result: what a broker returned; of a plain batch, it is not looked at.
        right: what the naive model did.
    """
    match result, right:
        case bytes() as envelope, Shown():
            return [(right.payload, pb.Message.FromString(envelope).meta.id)]
        case (bytes() as envelope, bool()), (Shown() | Repeat()):
            return [(right.payload, pb.Message.FromString(envelope).meta.id)]
        case adding.Added(), Added():
            return [
                (told.payload, pb.Message.FromString(meta).meta.id)
                for told, meta in zip(right.told, result.metas, strict=True)
            ]
        case _:
            return []


def shown(message: pb.Message) -> Shown:
    """Return what a message tells."""
    dead = message.dead_letter
    return Shown(
        message.payload,
        DeadLetter(
            DeadLetterReason(dead.reason),
            dead.text,
            dead.source_queue_id,
            dead.moved.ToNanoseconds(),
            dead.delivery_count,
        )
        if message.HasField("dead_letter")
        else None,
        [
            Attempt(
                0,
                each.consumer,
                each.leased.ToNanoseconds(),
                each.ended.ToNanoseconds(),
                Outcome(each.outcome),
                each.reason,
            )
            for each in message.attempts
        ],
        MessageOptions(
            available_ns=_moment(message.options, "available_at"),
            expires_ns=_moment(message.options, "expires_at"),
            priority=message.options.priority,
            dedup_id=message.options.dedup_id,
            group_id=message.options.group_id,
            fair_key=message.options.fair_key,
        ),
    )


def _moment(options: pb.MessageOptions, name: str) -> int | None:
    found: Timestamp = getattr(options, name)
    return found.ToNanoseconds() if options.HasField(name) else None


def told_of(result: object) -> object:
    """Reduce what was said of messages that were picked by their ids."""
    match result:
        case list():
            return [told_of(each) for each in result]
        case InvalidArgument() if result.field == "target_queue_id":
            return InvalidArgument, "target_queue_id"
        case InvalidArgument():
            return InvalidArgument, "queue_id"
        case QError():
            return type(result)
        case Moved() | NaiveMoved():
            return tuple(result)
        case _:
            return result
