"""The configuration file: its keys, and the errors about it."""

import os
from collections.abc import Mapping
from pathlib import Path

import click


def config_path() -> Path:
    """Where the file is, or would be."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path("~", ".config")
    return Path(os.path.expanduser(base), "q", "qcli.toml")  # noqa: PTH111 - It never fails.


def read_config(path: Path, kinds: Mapping[str, type]) -> dict[str, str | bool]:
    """Return what the file says; nothing if there is none.

    Args:
        path: where the file is.
        kinds: what it may say: the type of each key's value, str or bool.

    Raises:
        click.UsageError: it cannot be read, or says something else.
    """
    import tomllib  # noqa: PLC0415 - Most people have no file.

    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{path}: {error}") from error
    for key, value in found.items():
        if key not in kinds:
            raise click.UsageError(f"{path}: {_unknown(key, kinds)}")
        if not isinstance(value, kinds[key]):
            wanted = "true or false" if kinds[key] is bool else "a text in quotes"
            raise click.UsageError(f"{path}: {key} must be {wanted}, not {value!r}")
    return found


def _unknown(key: str, kinds: Mapping[str, type]) -> str:
    """Say that there is no such key, and name the nearest one or all."""
    from difflib import get_close_matches  # noqa: PLC0415 - As above.

    nearest = get_close_matches(key, kinds, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"the keys are {', '.join(kinds)}"
    return f"unknown key {key!r}; {hint}"
