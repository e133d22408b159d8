"""Headers by which Envoy tells of callers; it removes them from what callers send."""

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: The header with which Envoy tells of a client's certificate; it drops what clients send.
CERTIFICATE_HEADER: Final = "x-forwarded-client-cert"
#: The header with the payload of a JWT that Envoy has verified; it drops what clients send.
JWT_HEADER: Final = "x-q-jwt"

#: One pair of an element: a value in quotes has quotes and backslashes escaped.
_PAIR: Final = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)')
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client's certificate, as far as it tells who that is."""

    #: As RFC 2253 has it.
    subject: str
    #: Its alternative names that are URIs.
    uris: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What an identity can know it by."""
        return tuple(filter(None, (self.subject, *self.uris)))


def certificate_of(header: bytes) -> Certificate | None:
    """Read an x-forwarded-client-cert header of one element; None if it is none.

    Of several, nobody could say which one is the caller's.
    """
    try:
        text = header.decode("ascii")
    except UnicodeDecodeError:
        return None
    subject, uris = "", []
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        at = pair.end()
        # A comma would begin another element.
        if at < len(text) and text[at] != ";":
            return None
        at += 1
        key, value = pair[1].lower(), pair[2]
        if value.startswith('"'):
            value = _ESCAPED.sub(r"\1", value[1:-1])
        if key == "subject":
            if subject:
                return None
            subject = value
        elif key == "uri":
            uris.append(value)
    return Certificate(subject, tuple(uris))


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified JWT says."""

    issuer: str
    subject: str
    #: Seconds since the Unix epoch; None if its time is never over.
    expires_s: float | None
    all: Mapping[str, Any]


def claims_of(header: bytes) -> Claims | None:
    """Read the payload of a JWT as Envoy hands it on, in base64url; None if it is none."""
    padded = header.rstrip(b"=") + b"=" * (-len(header.rstrip(b"=")) % 4)
    try:
        payload = json.loads(b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(payload, dict):
        return None
    issuer, subject, expires = (payload.get(key) for key in ("iss", "sub", "exp"))
    if not isinstance(issuer, str) or not issuer:
        return None
    # True and False are integers to Python.
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float)):
        return None
    return Claims(
        issuer,
        subject if isinstance(subject, str) else "",
        None if expires is None else float(expires),
        payload,
    )


def claim_holds(claims: Claims, name: str, value: str) -> bool:
    """Tell whether a JWT has a claim of a value, or a list of values with that one among them."""
    found = claims.all.get(name)
    return value in found if isinstance(found, list) else found == value
