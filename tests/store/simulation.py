"""A history that a seeded generator plays, for as long as one wants.

The same seed draws the same commands, so that what went wrong can be looked at again. A history
lasts for some hundreds or some thousands of steps, and is then replaced by a new one.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from tests.store.calls import Call
from tests.store.commands import Command, checks_of, commands_of
from tests.store.histories import MemoryHistory

#: How many messages and queues there are before some are removed; the naive model looks at all
#: messages again and again.
_MESSAGES_MAX: Final = 60
_QUEUES_MAX: Final = 6

#: How many steps a history lasts: a long one gets where a short one does not, and a short one
#: begins anew with other settings. The shorter, the more of them: most steps are of long ones.
_STEPS: Final = (*[10] * 20, *[30] * 10, *[100] * 5, *[300] * 2, 1_000, 5_000)

#: Commands that are remembered.
_LAST: Final = 30


class WentWrong(AssertionError):
    """A server and the naive model differ, or a server has failed."""


class Simulation:
    """Plays histories of one kind."""

    def __init__(self, kind: type[MemoryHistory], seed: int) -> None:
        """Begin.

        Args:
            kind: the histories.
            seed: decides what happens.
        """
        self._kind = kind
        self._chance = Random(f"{kind.__name__} {seed}")
        self._commands = commands_of(kind)
        self._checks = checks_of(kind)
        self._history: MemoryHistory | None = None
        self._left = 0
        #: How many steps were made.
        self.steps = 0
        #: How many histories were begun, and how many messages added.
        self.histories = 0
        self.messages = 0
        #: The last commands, as a program.
        self.last: deque[str] = deque(maxlen=_LAST)

    def run(self, steps: int, tell: Callable[[int], None] = lambda _: None) -> None:
        """Make so many steps.

        Args:
            steps: how many.
            tell: is told of each how many there were.

        Raises:
            WentWrong: what there is differs from what should be.
        """
        try:
            for _ in range(steps):
                self._step()
                self.steps += 1
                tell(self.steps)
            self._end()
        except Exception as error:
            raise WentWrong(f"step {self.steps}") from error
        finally:
            if self._history:
                self._history.abandon()

    def _step(self) -> None:
        """Make one step, and see that all is well."""
        history = self._history or self._begin()
        self._left -= 1
        if not self._keep_small(history):
            self._do(history, self._any(history))
        for look in self._checks:
            look(history)
        if self._left <= 0:
            self._end()

    def _begin(self) -> MemoryHistory:
        history = self._history = self._kind()
        self._left = self._chance.choice(_STEPS)
        self.histories += 1
        self.last.append(f"state = {self._kind.__name__}()")
        for command in self._commands:
            if command.is_first:
                self._do(history, command)
        return history

    def _end(self) -> None:
        history, self._history = self._history, None
        if history:
            self.last.append("state.end()")
            self.messages += history.payloads
            history.end()

    def _any(self, history: MemoryHistory) -> Command:
        """Choose what happens next."""
        usable = [
            each
            for each in self._commands
            if not each.is_first and (each.when is None or each.when(history))
        ]
        return self._chance.choices(usable, [each.weight for each in usable])[0]

    def _do(self, history: MemoryHistory, command: Command) -> None:
        drawn = {name: draw.by(self._chance) for name, draw in command.draws.items()}
        arguments = ", ".join(f"{name}={value!r}" for name, value in drawn.items())
        self.last.append(f"state.{command.name}({arguments})")
        command.method(history, **drawn)

    def _keep_small(self, history: MemoryHistory) -> bool:
        """Remove something if there is much; return whether that was so."""
        queues = history.naive.queues
        counts = [len(each.messages) for each in queues]
        if len(queues) > _QUEUES_MAX:
            verb, place = "delete_queue", self._chance.randrange(len(queues))
        elif sum(counts) > _MESSAGES_MAX:
            # Either all, or those that come first: so that it is seldom empty.
            verb = self._chance.choice(["purge", "delete_queue", "pop_batch", "pop_batch"])
            place = counts.index(max(counts))
        else:
            return False
        call = Call(verb, place, by_name=False, is_cancelled=False, most=40)
        self.last.append(f"state.make([{call!r}])")
        history.make([call])
        return True
