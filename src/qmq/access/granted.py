"""The rights of one caller to the queues that exist, asked for before each step."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qmq.access.policy import Identity
from qmq.access.quotas import Quotas
from qmq.access.rights import (
    ALL_RIGHTS,
    Grants,
    Right,
    right_names,
    rights_on,
    rights_on_all,
)
from qmq.descriptions import QueueInfo
from qmq.errors import AccessDenied
from qmq.model.catalog import Catalog, is_name, parse_uuid
from qmq.model.queue import Queue
from qmq.values import Tag

#: As `qmq.engine.waiting` has it.
_IsGone = Callable[[], Awaitable[bool]]

#: Rights are remembered for so many more queues than exist.
_REMEMBERED_MORE: Final = 1000


@dataclass(frozen=True, slots=True)
class Covered:
    """The queues on which some grants give some rights: those that are equal are the same ones."""

    grants: Grants
    right: Right

    def covers(self, info: QueueInfo) -> bool:
        """Tell whether a queue is among them."""
        return bool(rights_on(self.grants, info.name, info.tags) & self.right)


class Rights:
    """The rights of callers that are not asked who they are: all. Others redefine everything here.

    References to queues are their ids or names.
    """

    def check(self, right: Right, reference: str) -> None:
        """Refuse what needs a right to a queue.

        Raises:
            AccessDenied: the caller has no such right. It reads the same whether or not there is
                such a queue, unless the caller has another right to it.
        """

    def check_add(self, reference: str, count: int, size: int) -> None:
        """Refuse to add messages.

        Args:
            reference: the queue.
            count: how many they are.
            size: bytes of their payloads and tags, together.

        Raises:
            AccessDenied: the caller has not the right to add any.
            QuotaReached: there is no room for them.
        """

    def check_new(self, name: str, tags: Sequence[Tag]) -> None:
        """Refuse to make a queue of this name and these tags.

        Raises:
            AccessDenied: the caller would not manage it.
            QuotaReached: there are as many queues of such a name as there may be.
        """

    def check_tags(self, reference: str, change: Callable[[QueueInfo], QueueInfo]) -> None:
        """Refuse to change a queue's tags if the caller may not, or somebody could do more then.

        Raises:
            AccessDenied: the caller does not manage it, or would give a right that it has not.
        """

    def check_all(self, right: Right) -> None:
        """Refuse what needs a right to all queues.

        Raises:
            AccessDenied: the caller has it not.
        """

    def may(self, right: Right, reference: str) -> bool:  # noqa: ARG002 - See above.
        """Tell whether the caller has a right to a queue; of one that is not there, to all."""
        return True

    def held(self, reference: str) -> Right:  # noqa: ARG002 - See above.
        """Return the caller's rights to a queue, or to every queue if the reference is empty.

        If there is no such queue, they are the rights to a queue of that name.
        """
        return ALL_RIGHTS

    def covered(self, right: Right) -> Covered | None:  # noqa: ARG002 - See above.
        """Return to which queues the caller has a right; None stands for all."""
        return None

    def while_held(
        self,
        right: Right,  # noqa: ARG002 - See above.
        reference: str,  # noqa: ARG002 - See above.
        is_gone: _IsGone,
    ) -> _IsGone:
        """Return `is_gone`, which tells whether a caller that waits has left, made to ask for more.

        What is returned also raises AccessDenied once the caller has the right no more.
        """
        return is_gone


class Granted(Rights):
    """Those of an identity: what the access file grants it."""

    def __init__(
        self,
        identity: Identity,
        catalog: Catalog,
        quotas: Quotas,
        everybody: Callable[[], Iterable[Identity]],
    ) -> None:
        """Make what an identity may.

        Args:
            identity: whose rights they are.
            catalog: the queues that there are.
            quotas: what queues may hold.
            everybody: returns all identities that there are.
        """
        self._catalog = catalog
        self._quotas = quotas
        self._everybody = everybody
        #: By a queue's number, its tags as they were looked at, and the rights.
        self._known: dict[int, tuple[Sequence[Tag], Right]] = {}
        self._name = identity.name
        self._grants = identity.grants
        self._on_all = rights_on_all(identity.grants)

    def replace(self, identity: Identity) -> None:
        """Let it have other rights from now on."""
        self._grants = identity.grants
        self._on_all = rights_on_all(identity.grants)
        self._known.clear()

    def on(self, queue: Queue) -> Right:
        """Return the rights to a queue."""
        known = self._known.get(queue.number)
        # Names never change, and tags that have changed are others.
        if known is not None and known[0] is queue.info.tags:
            return known[1]
        if len(self._known) > 2 * len(self._catalog) + _REMEMBERED_MORE:
            # Most of these are deleted.
            self._known.clear()
        info = queue.info
        rights = rights_on(self._grants, info.name, info.tags)
        self._known[queue.number] = info.tags, rights
        return rights

    def check(self, right: Right, reference: str) -> None:
        """Refuse what needs a right to a queue; see above."""
        queue = self._catalog.get(reference)
        if queue is None:
            self._check_unknown(right, reference)
        elif not (rights := self.on(queue)) & right:
            raise self._refusal(right, rights, reference)

    def _check_unknown(self, right: Right, reference: str) -> None:
        """Let pass who could do that to any queue of the name: it is told what is wrong."""
        rights = self._on_all
        if not rights & right:
            rights = self._on_unknown(reference)
        if not rights & right:
            raise self._refusal(right, rights, reference)

    def _on_unknown(self, reference: str) -> Right:
        """Return the rights to any queue of a name, whatever its tags are."""
        # What is no name, or is an id as well, is no queue's name.
        if not is_name(reference) or parse_uuid(reference):
            return self._on_all
        by_name = tuple(each for each in self._grants if each.selector is None)
        return rights_on(by_name, reference, ())

    def held(self, reference: str) -> Right:
        """Return the caller's rights; see above."""
        if not reference:
            return self._on_all
        queue = self._catalog.get(reference)
        return self._on_unknown(reference) if queue is None else self.on(queue)

    def _refusal(self, right: Right, rights: Right, reference: str) -> AccessDenied:
        if rights:
            return AccessDenied(
                f"{self._name} may {right_names(rights)}, but not {right_names(right)}, on queue"
                f" {reference[:120]!r}",
                right=right_names(right),
            )
        return AccessDenied(
            f"there is no queue {reference[:120]!r}, or {self._name} has no right to it"
        )

    def check_add(self, reference: str, count: int, size: int) -> None:
        """Refuse to add messages; see above."""
        queue = self._catalog.get(reference)
        if queue is None:
            self._check_unknown(Right.PRODUCE, reference)
            return
        if not (rights := self.on(queue)) & Right.PRODUCE:
            raise self._refusal(Right.PRODUCE, rights, reference)
        if self._quotas.are_set:
            self._quotas.check_add(queue, count, size)

    def check_new(self, name: str, tags: Sequence[Tag]) -> None:
        """Refuse to make a queue; see above."""
        rights = rights_on(self._grants, name, tags)
        if not rights & Right.MANAGE:
            named = f"queues named {name[:120]!r}" if name else "queues without a name"
            raise AccessDenied(
                f"{self._name} may not make {named} with these tags: it would have no right to"
                " manage such a one",
                right="manage",
            )
        self._quotas.check_new(name)

    def check_tags(self, reference: str, change: Callable[[QueueInfo], QueueInfo]) -> None:
        """Refuse to change a queue's tags; see above."""
        self.check(Right.MANAGE, reference)
        queue = self._catalog.get(reference)
        if queue is None:
            return
        own, before = self.on(queue), queue.info
        if own & Right.ADMIN:
            return
        after = change(before)
        for identity in self._everybody():
            # What one has by the queue's name stays as it is; mostly that is all there is.
            by_tags = tuple(each for each in identity.grants if each.selector is not None)
            gained = rights_on(by_tags, after.name, after.tags) & ~own
            if gained:
                gained &= ~rights_on(identity.grants, before.name, before.tags)
            if gained:
                who = "it" if identity.name == self._name else "somebody"
                raise AccessDenied(
                    f"with such tags {who} would have the right to {right_names(gained)} on queue"
                    f" {reference[:120]!r}, which {self._name} cannot give without having it",
                    right=right_names(gained),
                )

    def check_all(self, right: Right) -> None:
        """Refuse what needs a right to all queues; see above."""
        if not self._on_all & right:
            raise AccessDenied(
                f"{self._name} has no right to {right_names(right)} all queues, as this needs",
                right=right_names(right),
            )

    def may(self, right: Right, reference: str) -> bool:
        """Tell whether the caller has a right to a queue; see above."""
        queue = self._catalog.get(reference)
        return bool((self._on_all if queue is None else self.on(queue)) & right)

    def covered(self, right: Right) -> Covered | None:
        """Return to which queues the caller has a right; see above."""
        if self._on_all & right:
            return None
        right |= Right.ADMIN
        grants = tuple(each for each in self._grants if each.rights & right)
        return Covered(grants, right)

    def while_held(self, right: Right, reference: str, is_gone: _IsGone) -> _IsGone:
        """Return `is_gone`, made to ask for more; see above."""
        queue = self._catalog.get(reference)

        async def is_gone_or_denied() -> bool:
            if await is_gone():
                return True
            # A queue that is gone is told of by whoever waits for it.
            if queue is not None and not (rights := self.on(queue)) & right:
                raise self._refusal(right, rights, reference)
            return False

        return is_gone_or_denied


#: Nobody asks who calls.
EVERYTHING: Final = Rights()
