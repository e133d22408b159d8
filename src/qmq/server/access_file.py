"""Reading the access file, and what it names beside it."""

import stat
from pathlib import Path
from typing import Final

from qmq.access.policy import Issuer as PolicyIssuer
from qmq.access.policy import Policy
from qmq.access.reading import parse_policy
from qmq.errors import ConfigError
from qmq.server.key_sets import check_keys
from qmq.transport.envoy.jwt import Issuer

#: Bytes of a file that is one by mistake.
_FILE_BYTES_MAX: Final = 64 * 1024 * 1024

#: Certificates of the CAs that a system trusts, as Debian has them.
_SYSTEM_CA: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def read_policy(path: Path, *, in_cluster: bool = False) -> Policy:
    """Read an access file.

    Args:
        path: where it is.
        in_cluster: whether it is for a q of a cluster, which cannot hand on certificates.

    Raises:
        ConfigError: it cannot be read, or something in it breaks a rule.
    """
    policy = parsed(path, read_text(path))
    if in_cluster:
        for identity in policy.identities.values():
            if identity.certificates:
                raise ConfigError(
                    f"{path}: {identity.name} is known by certificates, which a q of a cluster"
                    " cannot hand on to the one that leads; use tokens or JWTs with --postgres"
                )
    return policy


def read_text(path: Path) -> str:
    """Return what is in an access file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise ConfigError(f"{path}: is larger than {_FILE_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read the access file {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error.reason}") from None


def parsed(path: Path, text: str) -> Policy:
    """Return the policy in the text of an access file.

    Raises:
        ConfigError: something in it breaks a rule; the message names the file.
    """
    try:
        return parse_policy(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None


def is_read_by_others(path: Path) -> bool:
    """Tell whether everybody on the machine can read a file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def issuers_of(policy: Policy, path: Path) -> list[Issuer]:
    """Return what Envoy needs to verify the JWTs of each issuer.

    Args:
        policy: who they are.
        path: the access file; what is beside it may be named without a directory.

    Raises:
        ConfigError: keys or certificates cannot be read.
    """
    return [_issuer_of(each, path) for each in policy.issuers]


def _issuer_of(issuer: PolicyIssuer, path: Path) -> Issuer:
    if issuer.jwks_file:
        file = path.parent / issuer.jwks_file
        text = _part_of(file, "the keys")
        check_keys(text, f"{path}: the file {file} of the issuer {issuer.issuer}")
        return Issuer(issuer=issuer.issuer, audiences=issuer.audiences, jwks=text)
    ca = path.parent / issuer.jwks_ca if issuer.jwks_ca else _SYSTEM_CA
    if issuer.jwks_url.startswith("https:"):
        _part_of(ca, "the CA's certificates")
    return Issuer(
        issuer=issuer.issuer, audiences=issuer.audiences, jwks_url=issuer.jwks_url, jwks_ca=ca
    )


def _part_of(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {what} of an issuer, {path}: {error}") from error
