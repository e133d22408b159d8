"""Writes the reference of the API: python -m scripts.api_page FILE.

The prose and the examples are in api_page.md. A line `<!-- NAME -->` there stands for
what the proto, its comments and the table of errors say.
"""

import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from qmq import errors
from qmq.transport.status import CODES, Code
from scripts.api import SERVICE, Binding, Comments, bindings_of, map_of, parameters_of

_TEMPLATE: Final = Path(__file__).with_suffix(".md")
_DIRECTIVE: Final = re.compile(r"<!-- (\w+)(?: (\w+))? -->")

_WIDTH: Final = 100

Error = type[errors.QError]

#: What any call may fail with.
ERRORS_OF_ANY_CALL: Final[Sequence[Error]] = (
    errors.InvalidArgument,
    errors.TooLarge,
    errors.Overloaded,
    errors.Unauthenticated,
    errors.AccessDenied,
    errors.CallsExceeded,
    errors.AccessChanged,
    errors.DeadlineExceeded,
    errors.RequestTimeout,
    errors.Unimplemented,
    errors.Busy,
    errors.StoreFailed,
    errors.DiskFull,
    errors.DatabaseAway,
    errors.NotLeading,
    errors.ShuttingDown,
    errors.DataLoss,
)

_ABOUT_A_QUEUE: Final[Sequence[Error]] = (errors.InvalidArgument, errors.QueueNotFound)

#: What changes the messages of a queue can be asked to be more durable than the queue can.
_ABOUT_A_CHANGE: Final[Sequence[Error]] = (*_ABOUT_A_QUEUE, errors.DurabilityNotReached)

#: What keeps a message from being added.
_NO_ROOM: Final[Sequence[Error]] = (
    errors.QueueFull,
    errors.DedupFull,
    errors.MemoryFull,
    errors.QuotaReached,
    errors.TooLarge,
    errors.AddsPaused,
)

#: What else a method may fail with. INVALID_ARGUMENT and TOO_LARGE stand here once more where
#: it is not only a malformed or endless request that gets them.
ERRORS_BY_METHOD: Final[dict[str, Sequence[Error]]] = {
    "ListQueues": (errors.InvalidArgument,),
    "NewQueue": (
        errors.InvalidArgument,
        errors.UnknownStore,
        errors.StoreNotConfigured,
        errors.QueueNotFound,
        errors.NameTaken,
        errors.LimitReached,
        errors.QuotaReached,
    ),
    "GetQueue": _ABOUT_A_QUEUE,
    "UpdateQueue": _ABOUT_A_QUEUE,
    "DeleteQueue": (errors.InvalidArgument, errors.QueueInUse),
    "AddQueueTag": _ABOUT_A_QUEUE,
    "DeleteQueueTag": _ABOUT_A_QUEUE,
    "Add": (*_ABOUT_A_CHANGE, *_NO_ROOM),
    "AddBatch": (*_ABOUT_A_CHANGE, *_NO_ROOM),
    "Pop": (*_ABOUT_A_CHANGE, errors.QueueEmpty, errors.QueuePaused),
    "PopBatch": (*_ABOUT_A_CHANGE, errors.SelectionsFull),
    "Peek": (*_ABOUT_A_QUEUE, errors.QueueEmpty),
    "Lease": (*_ABOUT_A_CHANGE, errors.SelectionsFull),
    "Ack": _ABOUT_A_CHANGE,
    "Nack": _ABOUT_A_CHANGE,
    "Extend": _ABOUT_A_CHANGE,
    "Complete": (
        *_ABOUT_A_CHANGE,
        errors.LeaseLost,
        errors.StoresDiffer,
        *_NO_ROOM,
    ),
    "Consume": (*_ABOUT_A_CHANGE, errors.SelectionsFull),
    "Browse": _ABOUT_A_QUEUE,
    "Explain": (*_ABOUT_A_QUEUE, errors.MessageNotFound),
    "Purge": _ABOUT_A_QUEUE,
    "Pause": _ABOUT_A_QUEUE,
    "Resume": _ABOUT_A_QUEUE,
    "ListGroups": _ABOUT_A_QUEUE,
    "PauseGroup": (*_ABOUT_A_QUEUE, errors.GroupsFull),
    "ResumeGroup": _ABOUT_A_QUEUE,
    "SkipGroup": _ABOUT_A_QUEUE,
    "StartRedrive": (*_ABOUT_A_QUEUE, errors.StoresDiffer, errors.LimitReached),
    "GetRedrive": (errors.InvalidArgument, errors.RedriveNotFound),
    "ListRedrives": (),
    "StopRedrive": (errors.InvalidArgument, errors.RedriveNotFound),
    "PutSchedule": (*_ABOUT_A_QUEUE, errors.TooLarge, errors.LimitReached),
    "GetSchedule": (*_ABOUT_A_QUEUE, errors.ScheduleNotFound),
    "ListSchedules": _ABOUT_A_QUEUE,
    "DeleteSchedule": (*_ABOUT_A_QUEUE, errors.ScheduleNotFound),
    "Stats": _ABOUT_A_QUEUE,
    "GetIdentity": (),
    "ListIdentities": (errors.AccessFixed,),
    "MakeToken": (errors.InvalidArgument, errors.IdentityNotFound, errors.AccessFixed),
    "RevokeToken": (errors.InvalidArgument, errors.AccessFixed, errors.LastAdmin),
    "GetServer": (),
    "DeleteMessages": _ABOUT_A_QUEUE,
    "MoveMessages": (*_ABOUT_A_QUEUE, errors.StoresDiffer),
}

#: As google.rpc.Code maps them, and Envoy with it. Only gRPC calls meet the others.
HTTP_STATUSES: Final = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.DEADLINE_EXCEEDED: 504,
}

_SCALARS: Final = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
}

#: Said once in the proto, of the service.
_QUEUE_ID: Final = "The queue's UUID or its name."


class ApiPage:
    """What the page is made of, by the names of directives."""

    def __init__(self) -> None:
        self._comments = Comments()
        self.directives: dict[str, Callable[[str], Iterable[str]]] = {
            "methods": lambda _: self._methods(),
            "method": lambda name: self._method(SERVICE.methods_by_name[name]),
            "errors": lambda _: _errors(),
            "types": lambda _: self._types(),
        }

    def _methods(self) -> Iterator[str]:
        yield "| method | REST | what it does |"
        yield "|---|---|---|"
        for method in SERVICE.methods:
            rest = ", ".join(f"`{each.verb} {each.path}`" for each in bindings_of(method)) or "none"
            summary = _first_sentence(self._comments.of(method.full_name))
            yield f"| {_link(method.name)} | {rest} | {summary} |"

    def _method(self, method: MethodDescriptor) -> Iterator[str]:
        yield textwrap.fill(self._comments.of(method.full_name), _WIDTH, break_on_hyphens=False)
        yield ""
        yield f"- gRPC: `/{SERVICE.full_name}/{method.name}`"
        bindings = [*bindings_of(method)]
        for binding in bindings:
            yield f"- REST: `{binding.verb} {binding.path}`"
        if not bindings:
            yield "- REST: none, since it is a stream both ways"
        reasons = ", ".join(f"`{error.reason}`" for error in ERRORS_BY_METHOD[method.name])
        yield f"- Errors: {reasons or 'none'}"
        if method.input_type.fields:
            yield ""
            yield from self._request(method.input_type, bindings)
        if method.output_type.fields:
            yield ""
            yield "| reply field | number | type | meaning |"
            yield "|---|---|---|---|"
            for field in method.output_type.fields:
                yield self._row(field)

    def _request(self, message: Descriptor, bindings: Sequence[Binding]) -> Iterator[str]:
        by_rest = (" by REST |", "---|") if bindings else ("", "")
        yield f"| request field | number | type |{by_rest[0]} meaning |"
        yield f"|---|---|---|{by_rest[1]}---|"
        for field in message.fields:
            places = " or ".join(dict.fromkeys(_place(each, field) for each in bindings))
            yield self._row(field, *([places] if bindings else []))

    def _types(self) -> Iterator[str]:
        """Describe what requests and replies are made of, each after those that hold it."""
        found: dict[str, Descriptor | EnumDescriptor] = {}
        to_visit = [*chain(*((each.input_type, each.output_type) for each in SERVICE.methods))]
        for message in to_visit:
            for field in message.fields:
                type_ = _own_type(field)
                if type_ is not None and type_.full_name not in found:
                    found[type_.full_name] = type_
                    if isinstance(type_, Descriptor):
                        to_visit.append(type_)
        for _, type_ in sorted(found.items()):
            yield f"### {_name(type_)}"
            if comment := self._comments.of(type_.full_name):
                yield textwrap.fill(comment, _WIDTH, break_on_hyphens=False)
            yield ""
            yield from self._members(type_)
            yield ""

    def _members(self, type_: Descriptor | EnumDescriptor) -> Iterator[str]:
        if isinstance(type_, Descriptor):
            yield "| field | number | type | meaning |"
            yield "|---|---|---|---|"
            for field in type_.fields:
                yield self._row(field)
            return
        yield "| value | number | meaning |"
        yield "|---|---|---|"
        for value in type_.values:
            meaning = self._comments.of(f"{type_.full_name}.{value.name}")
            yield f"| `{value.name}` | {value.number} | {meaning} |"

    def _row(self, field: FieldDescriptor, *more: str) -> str:
        type_ = _type(field)
        cells = (f"`{field.name}`", str(field.number), type_, *more, self._meaning(field))
        return f"| {' | '.join(cells)} |"

    def _meaning(self, field: FieldDescriptor) -> str:
        """The field's comment; where it has none, what its type is."""
        if comment := self._comments.of(field.full_name):
            return comment
        if field.name == "queue_id":
            return _QUEUE_ID
        type_ = _own_type(field)
        return _first_sentence(self._comments.of(type_.full_name)) if type_ else ""


def _place(binding: Binding, field: FieldDescriptor) -> str:
    place = binding.place_of(field)
    names = [name for name, _ in parameters_of(field)]
    if place == "query" and names != [field.name]:
        return f"in the query, one of them: {', '.join(f'`{name}`' for name in names)}"
    return "the body" if binding.body == field.name else f"in the {place}"


def _own_type(field: FieldDescriptor) -> Descriptor | EnumDescriptor | None:
    """The message or enum of q that a field holds, if it does."""
    type_ = field.message_type or field.enum_type
    if map_of(field):
        return None
    return type_ if type_ is not None and type_.file.package == SERVICE.file.package else None


def _type(field: FieldDescriptor) -> str:
    if entry := map_of(field):
        key, value = (_SCALARS[entry.fields_by_name[each].type] for each in ("key", "value"))
        return f"map from {key} to {value}"
    type_ = _own_type(field)
    if type_ is not None:
        name = _link(_name(type_))
    elif field.message_type is not None:
        name = field.message_type.name
    else:
        name = _SCALARS[field.type]
    return f"list of {name}" if field.is_repeated else name


def _name(type_: Descriptor | EnumDescriptor) -> str:
    return str(type_.full_name).removeprefix(f"{SERVICE.file.package}.")


def _link(name: str) -> str:
    return f"[{name}](#{name.lower().replace('.', '')})"


def _first_sentence(text: str) -> str:
    """What stands before the first full stop or colon, as a sentence."""
    first = re.split(r"[.:](?:\s|$)", text, maxsplit=1)[0]
    return f"{first}." if first else ""


def _errors() -> Iterator[str]:
    yield "| reason | gRPC | HTTP | when | from |"
    yield "|---|---|---|---|---|"
    of_methods = chain.from_iterable(ERRORS_BY_METHOD.values())
    for error in dict.fromkeys([*ERRORS_OF_ANY_CALL, *of_methods]):
        code = next(CODES[each] for each in error.__mro__ if each in CODES)
        when = _first_sentence(" ".join((error.__doc__ or "").split()))
        source = "any call" if error in ERRORS_OF_ANY_CALL else "the methods that name it"
        http_status = HTTP_STATUSES.get(code, "")
        yield f"| `{error.reason}` | {code.name} | {http_status} | {when} | {source} |"


def page() -> str:
    """The whole page."""
    directives = ApiPage().directives

    def lines() -> Iterator[str]:
        for line in _TEMPLATE.read_text(encoding="utf-8").splitlines():
            match = _DIRECTIVE.fullmatch(line)
            yield from directives[match[1]](match[2]) if match else (line,)

    return "\n".join(lines()).rstrip("\n") + "\n"


def main(file: str) -> None:
    """Write the page."""
    Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
