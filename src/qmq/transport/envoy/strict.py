"""The filter before the transcoder that makes REST strict: see strict.lua."""

from collections.abc import Iterable, Mapping
from importlib.resources import files

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from qmq.transport.rest import DIRECTORIES, FOREIGN_PATH, TOO_LARGE_PATH, Route

#: What has no fields of its own to check: scalars, and types with a JSON of their own.
_NO_FIELDS = ""

#: Stands for the type of a body where there is none.
_NO_BODY = ""

_WELL_KNOWN = "google.protobuf."


def strict_lua(
    routes: tuple[Route, ...], body_bytes_max: int, *, for_every_site: bool = True
) -> str:
    """Return the Lua source of the filter for the given REST routes.

    Unless it is `for_every_site`, calls are refused that a page of another site makes.
    """
    messages: dict[str, dict[str, str]] = {}
    for route in routes:
        if route.body_type:
            _collect(route.body_type, messages)
    constants = {
        "ROUTES": _table(map(_route, routes)),
        "MESSAGES": _record(
            {
                name: _record({field: _quote(kind) for field, kind in fields.items()})
                for name, fields in messages.items()
            }
        ),
        "DIRECTORIES": _set(DIRECTORIES),
        "BODY_BYTES_MAX": str(body_bytes_max),
        "FOR_EVERY_SITE": str(for_every_site).lower(),
        "FOREIGN_PATH": _quote(FOREIGN_PATH),
        "TOO_LARGE_PATH": _quote(f"{TOO_LARGE_PATH}{body_bytes_max}"),
    }
    head = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    return head + files(__package__).joinpath("strict.lua").read_text(encoding="utf-8")


def _route(route: Route) -> str:
    """Return what the filter knows of a route."""
    body_type = route.body_type.full_name if route.body_type else _NO_BODY
    return _table(
        [
            *(_quote(text) for text in (route.method, _pattern(route), body_type)),
            *(_set(names) for names in (route.variables, route.repeatable)),
        ]
    )


def _collect(message: Descriptor, found: dict[str, dict[str, str]]) -> None:
    """Add the fields of a message and of those inside it, by both names JSON may use."""
    if message.full_name in found:
        return
    fields = found[message.full_name] = {}
    for field in message.fields:
        inner = _checked_type(field)
        fields[field.name] = fields[field.json_name] = inner.full_name if inner else _NO_FIELDS
        if inner:
            _collect(inner, found)


def _checked_type(field: FieldDescriptor) -> Descriptor | None:
    """Return the message that a field holds, if the names in it are to be checked."""
    inner = field.message_type
    if inner is None or inner.full_name.startswith(_WELL_KNOWN):
        return None
    if inner.GetOptions().map_entry:
        # A map of scalars may have any names. Maps of messages would need a rule here.
        assert inner.fields_by_name["value"].message_type is None, field.full_name
        return None
    return inner


def _pattern(route: Route) -> str:
    """Return the Lua pattern of a route's path."""
    segments = (
        "[^/]+" if segment is None else "".join(c if c.isalnum() else f"%{c}" for c in segment)
        for segment in route.segments
    )
    return f"^/{'/'.join(segments)}$"


def _table(values: Iterable[str]) -> str:
    return "{" + ", ".join(values) + "}"


def _record(fields: Mapping[str, str]) -> str:
    return _table(f"[{_quote(name)}] = {value}" for name, value in fields.items())


def _set(names: Iterable[str]) -> str:
    return _record(dict.fromkeys(names, "true"))


def _quote(text: str) -> str:
    assert '"' not in text, text
    assert "\\" not in text, text
    return f'"{text}"'
