"""Where a server is, how to speak to it, and what to show it."""

from collections.abc import Sequence
from os import PathLike, stat
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from qmq.client.address import is_this_machine, parse_address, split_scheme
from qmq.client.options import TLS

#: What goes with a call, as gRPC takes it.
Metadata: TypeAlias = tuple[tuple[str, str], ...]

_NONE: Final[Metadata] = ()


class Endpoint:
    """One server, or several of a cluster of which any will do."""

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        tls: TLS | bool | None = None,
        token: str | None = None,
        token_file: str | PathLike[str] | None = None,
    ) -> None:
        """Read what it takes.

        Args:
            address: as `qmq.Client` takes it.
            tls: likewise.
            token: likewise.
            token_file: likewise.

        Raises:
            AddressError: `address` is none.
            ValueError: the token would go over a network as it is, for everybody to read; or two
                arguments contradict each other.
            OSError: a file cannot be read.
        """
        texts, is_https = split_scheme(address)
        self.address = parse_address(texts)
        self._tls = _tls_of(tls, is_https=is_https)
        if token is not None and token_file is not None:
            raise ValueError("token and token_file exclude each other: give one of them")
        is_shown = token is not None or token_file is not None
        if is_shown and not self._tls and not is_this_machine(self.address):
            raise ValueError(
                f"a token is only sent to {self.address} with TLS: give tls=TLS(...) as well, or"
                " write the address with https://"
            )
        self._token_file = None if token_file is None else _TokenFile(Path(token_file))
        self._metadata = _NONE if token is None else _bearer(token)
        #: So that files that are missing are told of when a client is made.
        self._credentials = self._tls.credentials() if self._tls else None
        self._seen = self._state()

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken."""
        return self._tls is not None

    def metadata(self) -> Metadata:
        """Return what goes with a call: the token, if there is one."""
        return self._token_file.metadata() if self._token_file else self._metadata

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a connection is made with; None for one without TLS.

        What was in the files last and could be used is used.
        """
        if self._tls and self.has_new_files():
            self._seen = self._state()
            try:
                self._credentials = self._tls.credentials()
            except (OSError, ValueError):
                # They are just being replaced: who asks again gets what is there then.
                self._seen = ()
        return self._credentials

    def has_new_files(self) -> bool:
        """Tell whether files of TLS have changed since a connection was made with them."""
        return self._state() != self._seen

    def _state(self) -> tuple[object, ...]:
        if not self._tls:
            return ()
        files = (self._tls.ca_file, self._tls.cert_file, self._tls.key_file)
        return tuple(None if file is None else _state_of(file) for file in files)


class _TokenFile:
    """A token in a file that is read again when it changes, so that it can be replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _state_of(path)
        self._metadata = self._read()

    def metadata(self) -> Metadata:
        # To ask for the file's state takes two microseconds: a hundredth of a call.
        state = _state_of(self._path)
        if state != self._seen:
            try:
                self._metadata = self._read()
                self._seen = state
            except (OSError, ValueError):
                pass  # It is just being replaced; the next call looks again.
        return self._metadata

    def _read(self) -> Metadata:
        token = self._path.read_text(encoding="utf-8").strip()
        if not token:
            raise ValueError(f"{self._path} is empty: there is to be a token in it")
        return _bearer(token)


def _state_of(path: str | PathLike[str]) -> object:
    """Return what changes whenever a file does, whether it is written or replaced."""
    try:
        found = stat(path)  # noqa: PTH116 - Path takes twice as long, and each call pays.
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def _bearer(token: str) -> Metadata:
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("the token has a character in it that no token has; is it a line of text?")
    return (("authorization", f"Bearer {token}"),)


def _tls_of(
    tls: TLS | bool | None,  # noqa: FBT001 - As the client takes it.
    *,
    is_https: bool | None,
) -> TLS | None:
    """Return how to speak TLS, of what the caller and the address say; None for not at all."""
    if tls is None:
        tls = is_https
    elif is_https is not None and bool(tls) is not is_https:
        scheme = "https://" if is_https else "http://"
        raise ValueError(f"the address begins with {scheme}, and tls={tls!r} says otherwise")
    if isinstance(tls, TLS):
        return tls
    return TLS() if tls else None
