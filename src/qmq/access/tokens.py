"""Tokens: `q_<id>_<secret>`, of which only a hash of the secret is kept.

The secret is 32 random bytes, so that no slow hash is needed: nobody can try them all.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

#: Bytes of randomness in a secret.
SECRET_BYTES: Final = 32
_ID_BYTES: Final = 5

#: Letters and digits that are not taken for others.
_ID_ALPHABET: Final = "23456789abcdefghijkmnpqrstuvwxyz"
_ID: Final = re.compile(r"[0-9a-z]{1,32}")
_TOKEN: Final = re.compile(rb"q_([0-9a-z]{1,32})_([A-Za-z0-9_-]{43})")
#: The scheme's name is written in any case.
_BEARER: Final = re.compile(rb"bearer +([\x21-\x7e]+) *", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token."""

    id: str
    #: Of the secret, in hexadecimal.
    sha256: str
    created: datetime | None = None
    #: None: it holds until it is revoked.
    expires: datetime | None = None
    note: str = ""

    def has_expired(self, now_s: float) -> bool:
        """Tell whether its time is over; `now_s` is in seconds since the Unix epoch."""
        return self.expires is not None and self.expires.timestamp() <= now_s


class Presented(NamedTuple):
    """A token as a caller sends it."""

    id: str
    #: Of its secret.
    sha256: str


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a token."""
    return bool(_ID.fullmatch(text))


def hash_secret(secret: bytes) -> str:
    """Return what is kept of a secret: its SHA-256 in hexadecimal."""
    return sha256(secret).hexdigest()


def make_token(
    random_bytes: Callable[[int], bytes],
    *,
    created: datetime,
    expires: datetime | None = None,
    note: str = "",
) -> tuple[str, Token]:
    """Make a token.

    Args:
        random_bytes: returns so many random bytes that nobody can guess.
        created: the present moment.
        expires: when its time is over; None for never.
        note: what it is for, for those who read the file.

    Returns:
        The token as its owner is told it, once, and what is kept of it.
    """
    letters = (_ID_ALPHABET[byte % len(_ID_ALPHABET)] for byte in random_bytes(_ID_BYTES * 2))
    token_id = "".join(letters)
    secret = urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=")
    kept = Token(
        id=token_id, sha256=hash_secret(secret), created=created, expires=expires, note=note
    )
    return f"q_{token_id}_{secret.decode()}", kept


def bearer_of(authorization: bytes) -> bytes | None:
    """Return what an Authorization header of the scheme Bearer carries; None if it is another."""
    found = _BEARER.fullmatch(authorization)
    return found[1] if found else None


def presented(bearer: bytes) -> Presented | None:
    """Read a token; None if it is none."""
    found = _TOKEN.fullmatch(bearer)
    return Presented(found[1].decode(), hash_secret(found[2])) if found else None


def is_same(token: Token | None, sent: Presented) -> bool:
    """Tell whether a token is the one that was sent, in the same time whatever the answer is."""
    kept = token.sha256 if token else hash_secret(b"")
    return hmac.compare_digest(kept, sent.sha256) and token is not None
