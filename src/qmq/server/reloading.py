"""Reads the configuration file anew, on SIGHUP, and takes over what may change meanwhile."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

from qmq.server.address import Address
from qmq.server.config_file import FaultyFile, read_config_file
from qmq.server.option_table import Table

#: The environment variable that carries an `Origin` to the application, as JSON.
ORIGIN_VARIABLE: Final = "Q_ORIGIN_JSON"

_log = logging.getLogger(__name__)

_TableT = TypeVar("_TableT", bound=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a configuration comes from."""

    #: The configuration file; None: there is none.
    file: Path | None
    #: By option name, as text: what flags and variables say, whatever the file says.
    fixed: Mapping[str, str]

    def to_json(self) -> str:
        """Write it as a JSON object."""
        return json.dumps({"file": self.file and str(self.file), "fixed": dict(self.fixed)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        found = json.loads(text)
        return cls(file=found["file"] and Path(found["file"]), fixed=found["fixed"])


class Reloading(Generic[_TableT]):
    """The configuration that holds, and how it becomes another."""

    def __init__(
        self, config: _TableT, origin: Origin, *, take_over: Callable[[_TableT], object]
    ) -> None:
        """Begin with a configuration.

        Args:
            config: what holds now.
            origin: where it comes from.
            take_over: is called, by whoever calls `reload`, with what holds from now on. Only
                options differ that may change meanwhile.
        """
        self._config = config
        self._origin = origin
        self._take_over = take_over

    def reload(self) -> None:
        """Read the file again; say in the log what has changed, and what needs a restart.

        A faulty file changes nothing, which the log says as well.
        """
        if self._origin.file is None:
            _log.info("nothing to reload")
            return
        try:
            read = self._read(self._origin.file)
            changed = {
                row.name: getattr(read, row.name)
                for row in self._config.options()
                if _differ(getattr(self._config, row.name), getattr(read, row.name))
            }
            rows = {row.name: row for row in self._config.options()}
            taken = {name: each for name, each in changed.items() if rows[name].is_reloadable}
            config = replace(self._config, **taken)
        except (FaultyFile, ValueError) as error:
            _log.error(
                "the configuration stays as it was: its file is faulty",
                extra={"faults": str(error).splitlines()},
            )
            return
        self._config = config
        self._take_over(config)
        shown = {name: rows[name].kind.show(value) for name, value in changed.items()}
        _log.info(
            "configuration reloaded",
            extra={
                "changed": {name: shown[name] for name in taken},
                "needs_restart": {name: shown[name] for name in shown if name not in taken},
            },
        )

    def _read(self, path: Path) -> _TableT:
        texts = read_config_file(path, type(self._config)).texts
        return type(self._config).from_texts({**texts, **self._origin.fixed})


def _differ(before: Any, after: Any) -> bool:  # noqa: ANN401  # values of an option
    """Tell whether a value has changed. A port that was chosen by the system is any port."""
    if isinstance(before, Address) and isinstance(after, Address) and after.port == 0:
        return before.host != after.host
    return bool(before != after)
