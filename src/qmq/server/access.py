"""The access file of a q that runs: it is read at the start, and whenever it changes."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

from qmq.access.policy import Issuer as PolicyIssuer
from qmq.access.policy import Policy, Unproven
from qmq.access.proving import proof_of, prove
from qmq.access.reading import parse_policy
from qmq.access.rights import Right, right_names
from qmq.errors import (
    AccessDenied,
    AccessFixed,
    ConfigError,
    IdentityNotFound,
    InvalidArgument,
    LastAdmin,
    QError,
    Unauthenticated,
)
from qmq.observe.access import AccessFigures
from qmq.observe.audit import TO_LOG, TO_NOTHING, Audit, AuditFile, to_log, to_nothing
from qmq.server.key_sets import check_keys
from qmq.transport.access_service import NewToken
from qmq.transport.asgi import Scope
from qmq.transport.envoy.jwt import Issuer
from qmq.transport.guarding import Counts, Guard

if TYPE_CHECKING:
    from qmq.server.token_file import Version, Written

_log = logging.getLogger(__name__)

#: Seconds between two looks at the file, and at whose time is over.
_LOOK_AGAIN_S: Final = 1.0

#: Seconds for which it has to stay as it is before it is read.
_SETTLES_S: Final = 0.1

#: Bytes of a file that is one by mistake.
_FILE_BYTES_MAX: Final = 64 * 1024 * 1024

#: Certificates of the CAs that a system trusts, as Debian has them.
_SYSTEM_CA: Final = Path("/etc/ssl/certs/ca-certificates.crt")

#: Whoever is neither the file's owner nor of its group.
_READ_BY_OTHERS: Final = 0o004

#: What callers are told who would have one q of a cluster change its file.
_FILE_OF_EACH: Final = (
    "each q of a cluster has an access file of its own, and this would change one of them: use"
    " `q tokens make` or `q tokens revoke` on one, and copy it to the others; each takes it over"
    " within two seconds"
)

_T = TypeVar("_T")


def read_policy(path: Path, *, in_cluster: bool) -> Policy:
    """Read an access file.

    Args:
        path: where it is.
        in_cluster: whether it is for a q of a cluster, which cannot hand on certificates.

    Raises:
        ConfigError: it cannot be read, or something in it breaks a rule.
    """
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise ConfigError(f"{path}: is larger than {_FILE_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot read the access file {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error.reason}") from None
    try:
        policy = parse_policy(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}") from None
    if in_cluster:
        for identity in policy.identities.values():
            if identity.certificates:
                raise ConfigError(
                    f"{path}: {identity.name} is known by certificates, which a q of a cluster"
                    " cannot hand on to the one that leads; use tokens or JWTs with --postgres"
                )
    return policy


def issuers_of(policy: Policy, path: Path) -> list[Issuer]:
    """Return what Envoy has to know of those whose JWTs it verifies.

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
        text = _text_of(file, "the keys")
        check_keys(text, f"{path}: the file {file} of the issuer {issuer.issuer}")
        return Issuer(issuer=issuer.issuer, audiences=issuer.audiences, jwks=text)
    ca = path.parent / issuer.jwks_ca if issuer.jwks_ca else _SYSTEM_CA
    if issuer.jwks_url.startswith("https:"):
        _text_of(ca, "the CA's certificates")
    return Issuer(
        issuer=issuer.issuer, audiences=issuer.audiences, jwks_url=issuer.jwks_url, jwks_ca=ca
    )


def _text_of(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {what} of an issuer, {path}: {error}") from error


def audit_of(where: str) -> Audit:
    """Make an audit log; `where` is as `--audit-log` takes it.

    Raises:
        ConfigError: it cannot be written.
    """
    if where == TO_LOG:
        return Audit(to_log)
    if where == TO_NOTHING:
        return Audit(to_nothing)
    try:
        file = AuditFile(Path(where))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot write the audit log {where}: {reason}") from error
    return Audit(file.write, reopen=file.reopen)


def is_read_by_others(path: Path) -> bool:
    """Tell whether everybody on the machine can read a file."""
    return bool(path.stat().st_mode & _READ_BY_OTHERS)


def _fixed(error: ConfigError) -> AccessFixed:
    return AccessFixed(
        f"{error.message}; nothing was changed. Where q must not write, change the file from"
        " outside: `q tokens --help` says how"
    )


class Access:
    """Who there is and who may what, as the file says it now."""

    def __init__(self, path: Path, audit: Audit, *, in_cluster: bool) -> None:
        """Read the file.

        Args:
            path: where it is.
            audit: notes who was refused.
            in_cluster: as in `read_policy`.

        Raises:
            ConfigError: it cannot be read, or something in it breaks a rule.
        """
        self._path = path
        self._in_cluster = in_cluster
        self._version = self._look()
        self.policy = read_policy(path, in_cluster=in_cluster)
        self.audit = audit
        self.counts = Counts()
        #: Whether Envoy verifies JWTs: it was told at the start for which issuers.
        self._issuers = self.policy.issuers
        self._is_faulty = False
        self._look_now = asyncio.Event()
        #: Held while the file is changed, or read and taken over: what was read before a change
        #: must not be taken over after it.
        self._in_turn = asyncio.Lock()
        #: Changes that go on, whoever has called for them and left.
        self._changes: set[asyncio.Future[Any]] = set()
        self._guards: WeakSet[Guard] = WeakSet()
        if is_read_by_others(path):
            _log.warning("others can read the access file", extra={"path": str(path)})

    @property
    def takes_jwts(self) -> bool:
        """Whether Envoy verifies JWTs, and tells of them."""
        return bool(self._issuers)

    def join(self, guard: Guard) -> None:
        """Tell a guard of every change, for as long as there is one."""
        self._guards.add(guard)

    def look_soon(self) -> None:
        """Read the file anew, whether or not it seems to have changed. To be called in the loop.

        The audit log goes on in the file that has its name now.
        """
        self._version = (0, 0, 0)
        self.audit.reopen()
        self._look_now.set()

    async def watch(self) -> None:
        """Read the file whenever it changes, and end what is open of those whose time is over."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()
            for guard in list(self._guards):
                guard.end_expired()
                guard.note_use()
            if self._changes:
                # That may take long, and what is over has to end meanwhile.
                continue
            try:
                async with self._in_turn:
                    await self._reload_if_changed()
            except Exception:  # noqa: BLE001 - Whatever it is, the next look may go well.
                # Nobody else would ever see what is revoked.
                self._version = (0, 0, 0)
                _log.exception("cannot look at the access file")

    async def _reload_if_changed(self) -> None:
        version = await asyncio.to_thread(self._look)
        if version != self._version:
            # Who writes it in place may not be done.
            await asyncio.sleep(_SETTLES_S)
            if await asyncio.to_thread(self._look) == version:
                self._version = version
                await self._reload()

    async def _reload(self) -> None:
        try:
            policy = await asyncio.to_thread(read_policy, self._path, in_cluster=self._in_cluster)
        except ConfigError as error:
            self._is_faulty = True
            _log.error(
                "the access file is faulty; what it said before holds",
                extra={"error": error.message},
            )
            return
        self._take_over(policy)
        fields = {"path": str(self._path), "identities": len(policy.identities)}
        _log.info("access file read", extra=fields)

    def _take_over(self, policy: Policy) -> None:
        """Let another policy hold from now on."""
        self._is_faulty = False
        if policy.issuers != self._issuers:
            _log.warning("issuers have changed in the access file; that counts from the next start")
        self.policy = policy
        for guard in list(self._guards):
            guard.replace(policy)

    def used_s(self) -> Mapping[str, float]:
        """Return when tokens were last used; see `AccessFile`."""
        for guard in list(self._guards):
            guard.note_use()
        return self.counts.used_s

    async def make_token(self, identity: str, *, expires: datetime | None, note: str) -> NewToken:
        """Make a token, which q takes when this returns; see `AccessFile`."""
        # It takes its time to load, and hardly any q needs it.
        from qmq.server import token_file  # noqa: PLC0415

        make = partial(token_file.make, self._path, identity, expires=expires, note=note, grants=())
        try:
            made = await self._change(make, lambda made: made.written)
        except token_file.NoSuchIdentity:
            raise IdentityNotFound(identity) from None
        except ConfigError as error:
            raise _fixed(error) from None
        _log.info("token made", extra={"identity": identity, "token": made.token.id})
        return NewToken(made.text, made.token)

    async def revoke_token(self, identity: str, token_id: str) -> None:
        """Revoke a token, which q takes no more when this returns; see `AccessFile`."""
        from qmq.server import token_file  # noqa: PLC0415 - As above.

        def check(before: Policy, after: Policy) -> None:
            owner = next(
                name
                for name, each in before.identities.items()
                if any(token.id == token_id for token in each.tokens)
            )
            if owner != identity:
                raise InvalidArgument("token_id", f"{token_id} is a token of {owner}")
            now_s = time.time()
            if before.admits(Right.ADMIN, now_s) and not after.admits(Right.ADMIN, now_s):
                raise LastAdmin(token_id, owner)

        revoke = partial(token_file.revoke, self._path, token_id, check)
        try:
            await self._change(revoke, lambda revoked: revoked.written)
        except token_file.NoSuchToken:
            return
        except ConfigError as error:
            raise _fixed(error) from None
        _log.info("token revoked", extra={"identity": identity, "token": token_id})

    async def _change(self, change: Callable[[], _T], written_of: "Callable[[_T], Written]") -> _T:
        """Change the file, and take over what became of it.

        That goes on if the caller leaves meanwhile: half of it would be worse.

        Args:
            change: does it, in another thread, and returns when it is synced.
            written_of: returns what the file says then, by what `change` has returned.

        Raises:
            AccessFixed: this q must not change it.
            ConfigError: as `change` does.
        """
        if self._in_cluster:
            raise AccessFixed(_FILE_OF_EACH)
        whole = asyncio.ensure_future(self._change_whole(change, written_of))
        self._changes.add(whole)
        whole.add_done_callback(self._changes.discard)
        return await asyncio.shield(whole)

    async def _change_whole(
        self, change: Callable[[], _T], written_of: "Callable[[_T], Written]"
    ) -> _T:
        async with self._in_turn:
            done = await asyncio.to_thread(change)
            written = written_of(done)
            self._version = written.version
            self._take_over(written.policy)
            return done

    def _look(self) -> "Version":
        """Tell which version of the file there is; one that is not there is one, too."""
        try:
            found = self._path.stat()
        except OSError:
            return (-1, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def check_on_all(self, scope: Scope, right: Right) -> str:
        """Find out who calls, and refuse one who has not a right to all queues.

        May be called from any thread.

        Returns:
            Who it is.

        Raises:
            Unauthenticated: nobody knows.
            AccessDenied: it has no such right.
        """
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        name = by = ""
        try:
            proof = proof_of(headers, takes_jwts=self.takes_jwts)
            if proof is None:
                by = "no token"
                raise Unauthenticated(by)
            try:
                identity, by, *_ = prove(self.policy, proof, headers[proof], time.time())
            except Unproven as error:
                by = str(error)
                raise Unauthenticated(by) from None
            name = identity.name
            if not identity.may_on_all(right):
                raise AccessDenied(
                    f"{name} has no right to {right_names(right)} all queues, as this needs",
                    right=right_names(right),
                )
        except QError as error:
            self.counts.refused[error.reason] += 1
            self.audit.refused(scope, name, by, error)
            raise
        return name

    def figures(self) -> AccessFigures:
        """Return what there is to measure."""
        now_s = time.time()
        expires = {
            identity.name: min(
                token.expires.timestamp() - now_s
                for token in identity.tokens
                if token.expires and not token.has_expired(now_s)
            )
            for identity in self.policy.identities.values()
            if any(token.expires and not token.has_expired(now_s) for token in identity.tokens)
        }
        return AccessFigures(
            calls={name: tally.calls for name, tally in list(self.counts.by_identity.items())},
            refused=dict(self.counts.refused),
            expires_in_s=expires,
            is_faulty=self._is_faulty,
        )
