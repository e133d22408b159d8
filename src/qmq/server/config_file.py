"""Configuration files: TOML with one key for each option, and a file's faults."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from qmq.errors import ConfigError
from qmq.server.option_table import Option, Table

_KEY: Final = re.compile(
    r"""\s*(?:"(?P<basic>[^"]*)"|'(?P<literal>[^']*)'|(?P<bare>[\w-]+))\s*[.=]"""
)
_TABLE: Final = re.compile(r"\s*\[+\s*([\w-]+)")
_POSITION: Final = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END: Final = " (at end of document)"


class Fault(NamedTuple):
    """Something wrong with a configuration file."""

    #: Counted from 1; None for what is wrong with the file as a whole.
    line: int | None
    what: str


class FaultyFile(ConfigError):
    """A configuration file cannot be used; the message lists everything that is wrong with it."""

    def __init__(self, path: Path, faults: Sequence[Fault]) -> None:
        self.path = path
        self.faults = faults
        super().__init__("\n".join(f"{path}{_place(each)}: {each.what}" for each in faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a configuration file says."""

    path: Path
    #: By option name, as text that the option's kind reads.
    texts: Mapping[str, str]
    #: Where each option stands, counted from 1.
    lines: Mapping[str, int]


def read_config_file(path: Path, table: type[Table]) -> ConfigFile:
    """Read a configuration file.

    Options that contradict each other are no fault of it alone: flags and variables may say
    something else. `check_config_file` looks for those as well.

    Raises:
        FaultyFile: it cannot be read, or something in it is wrong.
    """
    file, faults = _read(path, {row.name: row for row in table.options()})
    if faults:
        raise FaultyFile(path, sorted(faults, key=lambda fault: fault.line or 0))
    return file


def check_config_file(path: Path, table: type[Table]) -> ConfigFile:
    """Read a configuration file as if nothing else were told.

    Raises:
        FaultyFile: it cannot be read, something in it is wrong, or it contradicts itself.
    """
    file, faults = _read(path, {row.name: row for row in table.options()})
    faulty = {fault.line for fault in faults}
    sound = {name: text for name, text in file.texts.items() if file.lines[name] not in faulty}
    faults.extend(_contradictions(table, file, sound))
    if faults:
        raise FaultyFile(path, sorted(faults, key=lambda fault: fault.line or 0))
    return file


def _place(fault: Fault) -> str:
    return f":{fault.line}" if fault.line else ""


def _read(path: Path, rows: Mapping[str, Option]) -> tuple[ConfigFile, list[Fault]]:
    """Read the valid part of a file, and list the faults in the rest."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FaultyFile(path, [Fault(None, (error.strerror or str(error)).lower())]) from None
    except UnicodeDecodeError as error:
        raise FaultyFile(path, [Fault(None, f"it is no UTF-8: {error.reason}")]) from None
    values, lines, faults = _parse(text.replace("\r\n", "\n").split("\n"))
    texts = {}
    for name, value in values.items():
        try:
            texts[name] = _text_of(name, value, rows)
        except ValueError as error:
            faults.append(Fault(lines.get(name), f"{name}: {error}"))
    return ConfigFile(path=path, texts=texts, lines=lines), faults


def _parse(lines: list[str]) -> tuple[dict[str, Any], dict[str, int], list[Fault]]:
    """Return the values, the lines in which they begin, and the faults of the TOML.

    A faulty line is left out, so that the lines after it are checked as well.
    """
    lines = list(lines)
    faults = []
    while True:
        try:
            values = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            position = _POSITION.search(str(error))
            number = int(position[1]) if position else _last_begun(lines)
            what = _POSITION.sub("", str(error)).removesuffix(_AT_END)
            if what == "Invalid value":
                what += "; anything but numbers, true and false is in quotes"
            faults.append(Fault(number, f"this is not valid TOML: {what[:1].lower()}{what[1:]}"))
            if not "".join(lines[number - 1 :]):
                return {}, {}, faults
            # What does not end may have swallowed all that follows it.
            lines[number - 1 : number if position else None] = [""]
        except (ValueError, RecursionError) as error:
            # A number, or brackets in brackets, that are too long for Python, which tells no place.
            return {}, {}, [*faults, Fault(None, f"this is not valid TOML: {error}")]
        else:
            return values, dict(_keys(lines)), faults


def _last_begun(lines: list[str]) -> int:
    """Return the line in which the last statement begins, which has no end."""
    return max((number for _, number in _keys(lines)), default=len(lines))


def _keys(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Yield the keys and tables of the file and the lines in which they begin, in their order."""
    is_in_table = False
    for index, line in enumerate(lines):
        if (table := _TABLE.match(line)) and _is_whole(lines[:index]):
            is_in_table = True
            yield table[1], index + 1
        elif not is_in_table and (key := _KEY.match(line)) and _is_whole(lines[:index]):
            yield key["bare"] or key["basic"] or key["literal"] or "", index + 1


def _is_whole(lines: list[str]) -> bool:
    """Tell whether no value goes on after these lines, such as a text of several."""
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _text_of(name: str, value: object, rows: Mapping[str, Option]) -> str:
    """Return a value as text that its option's kind reads.

    Raises:
        ValueError: there is no such option, or the value breaks its rule.
    """
    row = rows.get(name)
    if row is None:
        if isinstance(value, dict):
            raise ValueError("there are no tables here; options stand alone, as in debug = true")
        near = difflib.get_close_matches(name, rows, n=1)
        raise ValueError("there is no such option" + (f"; did you mean {near[0]}?" if near else ""))
    text = row.kind.text_of(value)
    row.kind.parse(text)
    return text


def _contradictions(
    table: type[Table], file: ConfigFile, sound: Mapping[str, str]
) -> Iterator[Fault]:
    """Yield what is wrong with options that are right alone."""
    for contradiction in table.contradictions_of(sound):
        named = re.findall(r"--([a-z][a-z-]*)", contradiction)
        lines = [file.lines.get(name.replace("-", "_")) for name in named]
        yield Fault(next(filter(None, lines), None), contradiction)
