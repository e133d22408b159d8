"""From the text of the access file to a policy: what is wrong is told with its place."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from qmq.access.policy import Bounds, Identity, Issuer, JwtRule, Policy, Quota
from qmq.access.rights import NO_RIGHT, RIGHTS, Grant, Right, right_names
from qmq.access.tokens import Token, is_id
from qmq.errors import ConfigError, InvalidArgument
from qmq.model.selector import parse

_SHA256: Final = re.compile("[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_URL: Final = re.compile(
    r"(https://[^\s/]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?)(/\S*)?"
)

#: Numbers above these are slips of the finger.
_NUMBER_MAX: Final = 1 << 50

#: Characters of a text that is told back: a longer one may be a secret in a wrong place.
_SHOWN_CHARS_MAX: Final = 40

_IDENTITY_KEYS: Final = (
    *("name", "tokens", "certificates", "jwt", "rights"),
    *("calls_per_second", "calls_max", "connections_max"),
)
_QUOTA_KEYS: Final = ("queues", "queues_max", "messages_max", "bytes_max")
_BOUNDS: Final = ("calls_per_second", "calls_max", "connections_max")


class _Fault(Exception):
    """Something in the file breaks a rule."""

    def __init__(self, path: tuple[str | int, ...], rule: str) -> None:
        super().__init__(rule)
        self.path = path
        self.rule = rule


class _At(NamedTuple):
    """A value of the file, and where it stands."""

    value: Any
    path: tuple[str | int, ...]

    def fault(self, rule: str) -> _Fault:
        return _Fault(self.path, rule)

    def table(self, known: Collection[str]) -> Mapping[str, "_At"]:
        """Take it for a table with these keys."""
        if not isinstance(self.value, dict):
            raise self.fault(f"must be a table; got {_shown(self.value)}")
        for key in self.value:
            if key not in known:
                raise _Fault((*self.path, key), _unknown("key", key, known))
        return {key: _At(value, (*self.path, key)) for key, value in self.value.items()}

    def items(self) -> list["_At"]:
        """Take it for a list."""
        if not isinstance(self.value, list):
            is_table = isinstance(self.value, dict) and len(self.path) == 1
            advice = f"; write [[{self.path[0]}]], in double brackets" if is_table else ""
            raise self.fault(f"must be a list; got {_shown(self.value)}{advice}")
        return [_At(value, (*self.path, at)) for at, value in enumerate(self.value)]

    def text(self, pattern: re.Pattern[str] | None = None, rule: str = "") -> str:
        """Take it for a text that is not empty, and is like a pattern."""
        if not isinstance(self.value, str) or not self.value:
            raise self.fault(f"must be a text that is not empty; got {_shown(self.value)}")
        if pattern and not pattern.fullmatch(self.value):
            raise self.fault(f"{rule}; got {_shown(self.value)}")
        return self.value

    def number(self) -> int:
        """Take it for a whole number of at least 1."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _NUMBER_MAX:
            raise self.fault(f"must be a whole number of at least 1; got {_shown(value)}")
        return value

    def moment(self) -> datetime:
        """Take it for a moment with its time zone."""
        if not isinstance(self.value, datetime) or self.value.tzinfo is None:
            raise self.fault(
                "must be a moment with its time zone, as in 2026-11-30T12:00:00Z;"
                f" got {_shown(self.value)}"
            )
        try:
            self.value.astimezone(UTC)
        except OverflowError:
            raise self.fault(
                "must be in the years 1 to 9999 of UTC, which replies can tell"
            ) from None
        return self.value


def parse_policy(text: str) -> Policy:
    """Read the text of an access file.

    Raises:
        ConfigError: something in it breaks a rule; the message tells the line, the key and the
            rule, and the known key that is nearest to one that is unknown.
    """
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Not only what TOML has a name for: also numbers, and brackets in brackets, that are too
        # long for Python.
        raise ConfigError(f"is not valid TOML: {error}") from None
    try:
        return _policy(_At(found, ()))
    except _Fault as fault:
        line = _line_of(text, fault.path)
        where = f"line {line}: " if line else ""
        named = _named(fault.path)
        raise ConfigError(f"{where}{named}{': ' if named else ''}{fault.rule}") from None


def _policy(whole: _At) -> Policy:
    tables = whole.table(("identity", "quota", "issuer"))
    identities: dict[str, Identity] = {}
    once = _Once()
    for at in _list(tables, "identity"):
        identity = _identity(at, once)
        identities[identity.name] = identity
    issuers = tuple(_issuer(at, once) for at in _list(tables, "issuer"))
    known = {each.issuer for each in issuers}
    for place, identity in enumerate(identities.values()):
        for number, rule in enumerate(identity.jwts):
            if rule.issuer not in known:
                path = ("identity", place, "jwt", number, "issuer")
                raise _Fault(path, f"{rule.issuer!r} is the issuer of no [[issuer]]")
    return Policy(
        identities=identities,
        quotas=tuple(map(_quota, _list(tables, "quota"))),
        issuers=issuers,
    )


class _Once:
    """Sees to it that what stands for something stands for one thing only."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str | int, ...]] = {}

    def check(self, what: str, at: _At) -> None:
        before = self._seen.setdefault((what, at.value), at.path)
        if before != at.path:
            raise at.fault(f"the {what} {at.value!r} stands at {_named(before)} already")


def _identity(at: _At, once: _Once) -> Identity:
    table = at.table(_IDENTITY_KEYS)
    name = _required(at, table, "name")
    text = name.text(
        _NAME, "must be 1 to 128 of A-Z a-z 0-9 . _ @ - beginning with one of the first"
    )
    once.check("name", name)
    certificates = _list(table, "certificates")
    for each in certificates:
        each.text()
        once.check("certificate", each)
    return Identity(
        name=text,
        tokens=tuple(_token(each, once) for each in _list(table, "tokens")),
        certificates=tuple(each.value for each in certificates),
        jwts=tuple(map(_jwt, _list(table, "jwt"))),
        grants=tuple(map(_grant, _list(table, "rights"))),
        bounds=Bounds(**{key: table[key].number() for key in _BOUNDS if key in table}),
    )


def _token(at: _At, once: _Once) -> Token:
    table = at.table(("id", "sha256", "created", "expires", "note"))
    token_id = _required(at, table, "id")
    if not is_id(token_id.text()):
        raise token_id.fault(f"must be 1 to 32 of 0-9 a-z; got {_shown(token_id.value)}")
    once.check("token", token_id)
    digest = _required(at, table, "sha256").text(
        _SHA256, "must be a SHA-256: 64 of 0-9 a-f, as `q tokens make` writes it"
    )
    return Token(
        id=token_id.value,
        sha256=digest,
        created=table["created"].moment() if "created" in table else None,
        expires=table["expires"].moment() if "expires" in table else None,
        note=_note(table["note"]) if "note" in table else "",
    )


def _note(at: _At) -> str:
    if not isinstance(at.value, str):
        raise at.fault(f"must be a text; got {_shown(at.value)}")
    return at.value


def _jwt(at: _At) -> JwtRule:
    table = at.table(("issuer", "subject", "claims"))
    issuer = _required(at, table, "issuer").text()
    subject = table["subject"].text() if "subject" in table else ""
    claims: tuple[tuple[str, str], ...] = ()
    if "claims" in table:
        found = table["claims"]
        if not isinstance(found.value, dict) or not found.value:
            raise found.fault(
                'must be a table of claims and their values, as { group = "billing" }'
            )
        claims = tuple(
            (key, _At(value, (*found.path, key)).text()) for key, value in found.value.items()
        )
    if not subject and not claims:
        raise at.fault("must have a subject or claims, else it would be anybody's of the issuer")
    return JwtRule(issuer=issuer, subject=subject, claims=claims)


def _grant(at: _At) -> Grant:
    table = at.table(("queues", "selector", "may"))
    if ("queues" in table) is ("selector" in table):
        raise at.fault(
            'must have either queues, as "billing.*" or "*" for all, or a selector,'
            ' as "team=billing"'
        )
    may = _required(at, table, "may")
    rights = NO_RIGHT
    for each in may.items():
        name = each.text()
        if name not in RIGHTS:
            raise each.fault(_unknown("right", name, RIGHTS))
        rights |= RIGHTS[name]
    if not rights:
        raise may.fault(f"must name one or more of {right_names(Right(31))}")
    if "queues" in table:
        return Grant(rights, pattern=table["queues"].text())
    try:
        return Grant(rights, selector=parse(table["selector"].text()))
    except InvalidArgument as error:
        raise table["selector"].fault(error.rule) from None


def _quota(at: _At) -> Quota:
    table = at.table(_QUOTA_KEYS)
    bounds = {key: table[key].number() for key in _QUOTA_KEYS[1:] if key in table}
    if not bounds:
        raise at.fault("must have queues_max, messages_max or bytes_max")
    return Quota(pattern=_required(at, table, "queues").text(), **bounds)


def _issuer(at: _At, once: _Once) -> Issuer:
    table = at.table(("issuer", "audiences", "jwks_file", "jwks_url", "jwks_ca"))
    issuer = _required(at, table, "issuer")
    issuer.text()
    once.check("issuer", issuer)
    audiences = _required(at, table, "audiences")
    texts = tuple(each.text() for each in audiences.items())
    if not texts:
        raise audiences.fault("must name one or more audiences, else JWTs made for others would do")
    if ("jwks_file" in table) is ("jwks_url" in table):
        raise at.fault("must have either a jwks_file or a jwks_url")
    return Issuer(
        issuer=issuer.value,
        audiences=texts,
        jwks_file=table["jwks_file"].text() if "jwks_file" in table else "",
        jwks_url=(
            table["jwks_url"].text(_URL, "must be an https URL, or one of http on this machine")
            if "jwks_url" in table
            else ""
        ),
        jwks_ca=table["jwks_ca"].text() if "jwks_ca" in table else "",
    )


def _list(table: Mapping[str, _At], key: str) -> list[_At]:
    return table[key].items() if key in table else []


def _required(at: _At, table: Mapping[str, _At], key: str) -> _At:
    if key not in table:
        raise at.fault(f"has no {key}")
    return table[key]


def _unknown(what: str, found: str, known: Collection[str]) -> str:
    near = get_close_matches(found, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"unknown {what} {_shown(found)}; {hint}"


def _shown(value: object) -> str:
    """Write what was found, unless it may be a secret."""
    match value:
        case str() if len(value) <= _SHOWN_CHARS_MAX and not value.startswith("q_"):
            return repr(value)
        case str():
            return f"a text of {len(value)} characters"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case _:
            return f"a {_KINDS.get(type(value), 'value')}"


_KINDS: Final[Mapping[type, str]] = {dict: "table", list: "list", datetime: "moment"}


def _named(path: tuple[str | int, ...]) -> str:
    """Write a path as a person reads it, counting from 1."""
    return "".join(
        f"[{part + 1}]" if isinstance(part, int) else f"{'.' if at else ''}{part}"
        for at, part in enumerate(path)
    )


def _line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """Find about where something stands: in its table, the line that begins with its last key.

    What reads TOML does not tell places. Where no line begins so, it is that of the table.
    """
    if not path:
        return None
    lines = text.splitlines()
    header = re.compile(rf"\s*\[{{1,2}}\s*{re.escape(str(path[0]))}\s*\]{{1,2}}")
    tables = [at for at, line in enumerate(lines) if header.match(line)]
    number = path[1] if len(path) > 1 and isinstance(path[1], int) else 0
    if number >= len(tables):
        begins = _first(lines, 0, len(lines), lambda line: _begins_with(line, str(path[0])))
        return None if begins is None else begins + 1
    begin = tables[number]
    end = _first(lines, begin + 1, len(lines), lambda line: line.lstrip().startswith("["))
    for key in [part for part in path[1:] if isinstance(part, str)][::-1]:
        for at in range(begin, end or len(lines)):
            if _begins_with(lines[at], key):
                return at + 1
    return begin + 1


def _begins_with(line: str, key: str) -> bool:
    return bool(re.match(rf"\s*[{{]?\s*[\"']?{re.escape(key)}[\"']?\s*=", line))


def _first(lines: list[str], begin: int, end: int, is_it: Callable[[str], bool]) -> int | None:
    return next((at for at in range(begin, end) if is_it(lines[at])), None)
