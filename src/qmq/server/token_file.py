"""Changes to an access file by a program: what people wrote in it stays as it is."""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from qmq.access.policy import Policy
from qmq.access.reading import parse_policy
from qmq.access.tokens import Token, make_token
from qmq.errors import ConfigError

_HEADER: Final = """\
# Who may call q, and who may do what to which queues: see docs/access.md.
# q reads this file again whenever it changes.
"""

#: A file that q makes is for nobody else to read.
_MODE: Final = 0o600


class Made(NamedTuple):
    """A token that was made."""

    #: As its owner is told it; it is kept nowhere.
    text: str
    token: Token
    #: Whether the identity is new.
    is_new_identity: bool


def read(path: Path) -> Policy:
    """Read an access file.

    Raises:
        ConfigError: it cannot be read, or something in it breaks a rule.
    """
    return _parsed(path, _text(path))


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
    with _edited(path) as document:
        found = _identity(document, identity)
        if found is None and not grants:
            raise ConfigError(
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
    return Made(text, token, found is None)


def revoke(path: Path, token_id: str) -> str:
    """Take a token out of the file, and return whose it was.

    Raises:
        ConfigError: there is none of the id, or as in `make`.
    """
    with _edited(path) as document:
        for identity in document.get("identity", ()):
            tokens = identity.get("tokens", ())
            for at, token in enumerate(tokens):
                if token.get("id") == token_id:
                    del tokens[at]
                    return str(identity["name"])
        raise ConfigError(f"{path}: there is no token with the id {token_id!r}")


@contextmanager
def _edited(path: Path) -> Iterator[tomlkit.TOMLDocument]:
    """Yield what is in the file, and write what became of it, all of it or nothing."""
    # Of a link, the file is changed that it leads to.
    path = path.resolve()
    with _locked(path.parent):
        text = _text(path) if path.exists() else _HEADER
        _parsed(path, text)
        try:
            document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from None
        yield document
        changed = tomlkit.dumps(document)
        _parsed(path, changed)
        _replace(path, changed)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others out that change an access file here."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot use {directory}: {(error.strerror or '').lower()}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Write a file in one step; who may read it stays as it was."""
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
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {(error.strerror or '').lower()}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read the access file {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error.reason}") from None


def _parsed(path: Path, text: str) -> Policy:
    try:
        return parse_policy(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


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
