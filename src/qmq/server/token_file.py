"""Changes to an access file by a program: what people wrote in it stays as it is."""

import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from qmq.access.policy import Policy
from qmq.access.tokens import Token, make_token
from qmq.errors import ConfigError
from qmq.server.access_file import parsed, read_text

_HEADER: Final = """\
# Who may call q, and who may do what to which queues: see docs/access.md.
# q reads this file again whenever it changes.
"""

#: A file that q makes is for nobody else to read.
_MODE: Final = 0o600

#: Seconds to wait for another program that changes an access file, and between two looks at its
#: lock. A change takes milliseconds, unless something is stuck.
_PATIENCE_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.02

#: What tells one version of a file from another: its inode, its time and its size.
Version = tuple[int, int, int]

#: Raises an error unless a policy may become another one.
Check = Callable[[Policy, Policy], None]


class NoSuchIdentity(ConfigError):
    """The file has no identity of a name."""


class NoSuchToken(ConfigError):
    """The file has no token of an id."""


class Written(NamedTuple):
    """What a file says that was changed."""

    policy: Policy
    version: Version


class Made(NamedTuple):
    """A token that was made."""

    #: As its owner is told it; it is kept nowhere.
    text: str
    token: Token
    #: Whether the identity is new.
    is_new_identity: bool
    written: Written


class Revoked(NamedTuple):
    """A token that was revoked."""

    #: The name of the one whose it was.
    identity: str
    written: Written


@dataclass(slots=True)
class _Edit:
    """A change to a file."""

    document: tomlkit.TOMLDocument
    #: Set when it is done.
    written: Written | None = None

    @property
    def result(self) -> Written:
        """What the file says now."""
        assert self.written is not None
        return self.written


def make(
    path: Path,
    identity: str,
    *,
    expires: datetime | None,
    note: str,
    grants: Sequence[dict[str, Any]],
) -> Made:
    """Give an identity a token.

    Args:
        path: the file, which is made if it is missing.
        identity: its name; one that there is not is made.
        expires: when the token's time is over; None for never.
        note: what it is for.
        grants: rights of an identity that is made, as the file has them.

    Raises:
        ConfigError: the file cannot be read or written, or would be faulty; it stays as it was.
    """
    with _edited(path) as edit:
        document = edit.document
        found = _identity(document, identity)
        if found is None and not grants:
            raise NoSuchIdentity(
                f"{path}: there is no identity {identity!r}; to make it, say what it may do:"
                " --may produce,consume --queues 'x.*'"
            )
        if found is not None and grants:
            raise ConfigError(
                f"{path}: the identity {identity!r} is there, and has rights; change them in the"
                " file, and leave out --may"
            )
        now = datetime.now(UTC).replace(microsecond=0)
        text, token = make_token(secrets.token_bytes, created=now, expires=expires, note=note)
        target = _new_identity(document, identity, grants) if found is None else found
        _tokens_of(target, path).append(_kept(token))
    return Made(text, token, found is None, edit.result)


def revoke(path: Path, token_id: str, check: Check | None = None) -> Revoked:
    """Take a token out of the file.

    Args:
        path: the file.
        token_id: the token's.
        check: is asked before anything is written.

    Raises:
        NoSuchToken: there is none of the id.
        ConfigError: as in `make`.
        QError: what `check` raises; the file stays as it was.
    """
    with _edited(path, check) as edit:
        name = _take_out(edit.document, token_id)
        if not name:
            raise NoSuchToken(f"{path}: there is no token with the id {token_id!r}")
    return Revoked(name, edit.result)


def _take_out(document: tomlkit.TOMLDocument, token_id: str) -> str:
    """Take out a token, and return the name of whose it was; empty if there is none."""
    for identity in document.get("identity", ()):
        tokens = identity.get("tokens", ())
        for at, token in enumerate(tokens):
            if token.get("id") == token_id:
                del tokens[at]
                return str(identity["name"])
    return ""


@contextmanager
def _edited(path: Path, check: Check | None = None) -> Iterator[_Edit]:
    """Yield the content of the file, then write what was changed: all of it or nothing."""
    # Of a link, the file is changed that it leads to.
    path = path.resolve()
    with _locked(path.parent) as directory:
        text = read_text(path) if path.exists() else _HEADER
        before = parsed(path, text)
        try:
            edit = _Edit(tomlkit.parse(text))
        except TOMLKitError as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from None
        yield edit
        changed = tomlkit.dumps(edit.document)
        after = parsed(path, changed)
        if check:
            check(before, after)
        edit.written = Written(after, _replace(path, changed, directory))


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Lock a directory against others that change an access file; yield its descriptor."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot use {directory}: {(error.strerror or '').lower()}") from error
    try:
        _lock(descriptor, directory)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"another program holds the lock on {directory} for more than"
                    f" {_PATIENCE_S:g} seconds; nothing was changed"
                ) from None
            time.sleep(_LOOK_AGAIN_S)
        else:
            return


def _replace(path: Path, text: str, directory: int) -> Version:
    """Write a file in one step, synced with its directory; who may read it stays as it was."""
    try:
        before = path.stat() if path.exists() else None
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                if before:
                    # Who is not the superuser keeps it as its own.
                    with suppress(PermissionError):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    os.fchmod(file.fileno(), before.st_mode & 0o777)
                else:
                    os.fchmod(file.fileno(), _MODE)
                os.fsync(file.fileno())
                written = os.fstat(file.fileno())
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        os.fsync(directory)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {(error.strerror or '').lower()}") from error
    return (written.st_ino, written.st_mtime_ns, written.st_size)


def _identity(document: tomlkit.TOMLDocument, name: str) -> Any | None:  # noqa: ANN401 - A TOML table.
    return next((each for each in document.get("identity", ()) if each.get("name") == name), None)


def _new_identity(
    document: tomlkit.TOMLDocument, name: str, grants: Sequence[dict[str, Any]]
) -> Any:  # noqa: ANN401 - As above.
    table = tomlkit.table()
    # An empty line before it.
    table.trivia.indent = "\n"
    table["name"] = name
    table["tokens"] = tomlkit.array().multiline(multiline=True)
    rights = tomlkit.array().multiline(multiline=True)
    for grant in grants:
        rights.append(_inline(grant))
    table["rights"] = rights
    if "identity" not in document:
        document["identity"] = tomlkit.aot()
    identities: Any = document["identity"]
    identities.append(table)
    return table


def _tokens_of(identity: Any, path: Path) -> Any:  # noqa: ANN401 - As above.
    if "tokens" not in identity:
        identity["tokens"] = tomlkit.array().multiline(multiline=True)
    tokens = identity["tokens"]
    if not isinstance(tokens, tomlkit.items.Array):
        raise ConfigError(
            f"{path}: the tokens of {identity['name']} are no list in brackets, as q writes them"
        )
    return tokens


def _kept(token: Token) -> Any:  # noqa: ANN401 - As above.
    """Return what is kept of a token, as the file has it."""
    fields = {
        "id": token.id,
        "sha256": token.sha256,
        "created": token.created,
        "expires": token.expires,
        "note": token.note,
    }
    return _inline({name: value for name, value in fields.items() if value})


def _inline(fields: dict[str, Any]) -> Any:  # noqa: ANN401 - As above.
    table = tomlkit.inline_table()
    table.update(fields)
    return table
