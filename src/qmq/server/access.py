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

from qmq.access.policy import Policy, Unproven
from qmq.access.proving import proof_of, prove
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
from qmq.server.access_file import is_read_by_others, read_policy
from qmq.transport.access_service import NewToken
from qmq.transport.asgi import Scope
from qmq.transport.guarding import Counts, Guard

if TYPE_CHECKING:
    from qmq.server.token_file import Version, Written

_log = logging.getLogger(__name__)

#: Seconds between two looks at the file, and at whose time is over.
_LOOK_AGAIN_S: Final = 1.0

#: Seconds for which it has to stay as it is before it is read.
_SETTLES_S: Final = 0.1

#: The answer to callers that ask one q of a cluster to change its file.
_FILE_OF_EACH: Final = (
    "each q of a cluster has an access file of its own, and this would change one of them: use"
    " `q tokens make` or `q tokens revoke` on one, and copy it to the others; each takes it over"
    " within two seconds"
)

_T = TypeVar("_T")


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


def _fixed(error: ConfigError) -> AccessFixed:
    return AccessFixed(
        f"{error.message}; nothing was changed. Where q must not write, change the file from"
        " outside: `q tokens --help` says how"
    )


class Access:
    """Who may call and do what, as the file says it now."""

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
            _log.warning("others can read the access file: chmod o-r it", extra={"path": str(path)})

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
        """Read the file whenever it changes, and end the streams and waits of expired callers."""
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
        """Return the version of the file; a missing file has one, too."""
        try:
            found = self._path.stat()
        except OSError:
            return (-1, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def check_on_all(self, scope: Scope, right: Right) -> str:
        """Find out who calls, and refuse callers without a right to all queues.

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
