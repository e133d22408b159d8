"""Selectors: what the tags of a queue, or of a message, have to be like.

The language is that of Kubernetes' label selectors, for keys that may have several values and
texts that may be anything. What is read is small enough for a tokenizer of its own; that errors
tell the place and what was expected there is most of it.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from qmq.errors import InvalidArgument
from qmq.limits import SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX
from qmq.values import Tag

_WORD: Final = re.compile(r'[^\s,()=!"]+')
_TOKEN: Final = re.compile(
    rf"""\s*(?: (?P<mark> ==|!=|[=!,()] )
             | (?P<word> {_WORD.pattern} )
             | (?P<quoted> "(?:[^"\\]|\\.)*" )
             | (?P<end> \Z ) )""",
    re.DOTALL | re.VERBOSE,
)
#: What may follow a key, and whether it says that the key has none of the values.
_COMPARISONS: Final = {"=": False, "==": False, "!=": True}
_MEMBERSHIPS: Final = {"in": False, "notin": True}

#: Characters of what was found in the place of something else, of which an error tells.
_FOUND_CHARS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Term:
    """One condition, on the values of the tags that have a key."""

    key: str
    #: One of them is to be among the values; None if any will do.
    values: frozenset[str] | None
    #: Whether the opposite is to hold.
    is_negated: bool

    def matches(self, found: Collection[str]) -> bool:
        """Whether it holds.

        Args:
            found: the values of the tags that have the key.
        """
        if self.values is None:
            return bool(found) != self.is_negated
        return self.values.isdisjoint(found) == self.is_negated

    def __str__(self) -> str:
        """Return the one text that has this meaning."""
        key = _quoted(self.key)
        if self.values is None:
            return f"!{key}" if self.is_negated else key
        values = [_quoted(value) for value in sorted(self.values)]
        if len(values) == 1:
            return f"{key}{'!=' if self.is_negated else '='}{values[0]}"
        return f"{key} {'notin' if self.is_negated else 'in'} ({','.join(values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that all must hold; those with equal texts are equal."""

    #: At least one; each once, in the order of their texts.
    terms: tuple[Term, ...]
    _keys: frozenset[str] = field(init=False, repr=False, compare=False)
    _matches_untagged: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare to look at many tags."""
        # That is how a frozen value gets what is computed from it.
        object.__setattr__(self, "_keys", frozenset(term.key for term in self.terms))
        object.__setattr__(self, "_matches_untagged", all(term.matches(()) for term in self.terms))

    def matches(self, tags: Collection[Tag]) -> bool:
        """Whether tags are such; it takes about a microsecond, and more for more than 10 tags."""
        keys = self._keys
        found: dict[str, list[str]] = {}
        for tag in tags:
            key = tag.key
            if key in keys:
                found.setdefault(key, []).append(tag.value)
        if not found:
            return self._matches_untagged
        return all(term.matches(found.get(term.key, ())) for term in self.terms)

    def __str__(self) -> str:
        """Return the one text that has these terms.

        Spaces, quotes where none are needed, and the order of terms and values are gone; it
        may be longer than what was read, by a byte or two a term.
        """
        return ",".join(map(str, self.terms))


@lru_cache(maxsize=256)
def parse(text: str) -> Selector:
    """Read a selector.

    Args:
        text: terms separated by commas: `key=value` (or `==`), `key!=value`, `key in (a,b)`,
            `key notin (a,b)`, `key`, `!key`. What is not a run of characters other than spaces
            and `,()=!"` stands in double quotes, as a JSON string. See docs/selectors.md.

    Raises:
        InvalidArgument: it is none, or longer than selectors may be.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _refusal(error.start, "cannot be written in UTF-8") from None
    if size > SELECTOR_BYTES_MAX:
        raise InvalidArgument(
            "selector", f"must have up to {SELECTOR_BYTES_MAX} bytes, got {size} bytes"
        )
    reader = _Reader(text)
    if reader.next.kind == "end":
        raise InvalidArgument(
            "selector", "must not be empty; give one such as team=mail,env in (prod,stage)"
        )
    terms = {reader.term()}
    count = 1
    while reader.next.kind != "end":
        comma = reader.mark(",", "expected a comma or the end")
        count += 1
        if count > SELECTOR_TERMS_MAX:
            raise _refusal(comma.place, f"more than {SELECTOR_TERMS_MAX} terms")
        terms.add(reader.term())
    return Selector(tuple(sorted(terms, key=str)))


class _Token(NamedTuple):
    #: "mark", "word", "quoted" or "end".
    kind: str
    #: As it was written.
    written: str
    #: Characters before it.
    place: int


class _Reader:
    """Takes a text apart, always looking at the next token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.next = self._token(0)

    def term(self) -> Term:
        """Take a term."""
        if self.next.written == "!":
            self._take()
            return Term(self._name("key"), None, is_negated=True)
        key = self._name("key")
        follows = self.next
        if follows.written in _COMPARISONS:
            self._take()
            value = self._name("value")
            return Term(key, frozenset((value,)), _COMPARISONS[follows.written])
        # A word here that is none of these is an error, but the caller's.
        if follows.written in _MEMBERSHIPS:
            self._take()
            return Term(key, self._values(), _MEMBERSHIPS[follows.written])
        if follows.kind != "end" and follows.written != ",":
            raise _unexpected(follows, "expected =, !=, in, notin, a comma or the end")
        return Term(key, None, is_negated=False)

    def mark(self, mark: str, expected: str) -> _Token:
        """Take a mark."""
        if self.next.written != mark:
            raise _unexpected(self.next, expected)
        return self._take()

    def _values(self) -> frozenset[str]:
        """Take values in parentheses."""
        self.mark("(", "expected ( and values")
        values = {self._name("value")}
        while self.next.written == ",":
            self._take()
            values.add(self._name("value"))
        self.mark(")", "expected a comma or )")
        return frozenset(values)

    def _name(self, what: str) -> str:
        """Take a key or a value."""
        token = self.next
        if token.kind == "word":
            self._take()
            return token.written
        if token.kind != "quoted":
            hint = ' ("" is the empty one)' if what == "value" else ""
            raise _unexpected(token, f"expected a {what}{hint}")
        try:
            name = str(json.loads(token.written))
            name.encode()
        except json.JSONDecodeError as error:
            rule = f"this is not as in a JSON string: {error.msg.removesuffix(' at')}"
            raise _refusal(token.place + error.pos, rule) from None
        except UnicodeEncodeError:
            raise _refusal(token.place, "half of a surrogate pair") from None
        self._take()
        return name

    def _take(self) -> _Token:
        token = self.next
        self.next = self._token(token.place + len(token.written))
        return token

    def _token(self, begin: int) -> _Token:
        found = _TOKEN.match(self._text, begin)
        # Whatever is no other token begins with a quote.
        if found is None:
            raise _refusal(self._text.index('"', begin), "the quotes are not closed")
        kind = str(found.lastgroup)
        return _Token(kind, found[kind], found.start(kind))


def _quoted(name: str) -> str:
    """Return how a key or value is written, in quotes if it has to be."""
    return name if _WORD.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _unexpected(token: _Token, expected: str) -> InvalidArgument:
    """Make an error about what stands in the place of something else."""
    if token.kind == "end":
        return InvalidArgument("selector", f"at its end: {expected}")
    return _refusal(token.place, f"{expected}, got {token.written[:_FOUND_CHARS_MAX]!r}")


def _refusal(place: int, rule: str) -> InvalidArgument:
    """Make an error; `place` is the number of characters before it."""
    return InvalidArgument("selector", f"at character {place + 1}: {rule}")
