"""PostgreSQL as Debian installs it: where its programs are, and as whom they run.

PostgreSQL's server refuses to run as root. So where tests run as root, as in CI, it runs as
the user `postgres` that the package has made, and what it writes is in directories of that user.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

#: The role that owns the databases that q uses: one like a user's own, with no other rights.
ROLE: Final = "q"
SUPERUSER: Final = "postgres"

_BUILD: Final = Path(__file__).parents[2] / "build"
_TIMEOUT_S: Final = 60.0


class Failed(Exception):
    """A program of PostgreSQL failed, or took too long; the text has what it wrote."""


@cache
def programs() -> Path | None:
    """The directory with PostgreSQL's programs, of the newest version; None without any."""
    found = [
        each.parent
        for each in Path("/usr/lib/postgresql").glob("*/bin/postgres")
        if each.parents[1].name.isdecimal()
    ]
    return max(found, key=lambda each: int(each.parent.name), default=None)


def path_of(program: str) -> str:
    """Where a program of PostgreSQL is. Some version must be installed."""
    directory = programs()
    if directory is None:
        raise Failed("PostgreSQL is not installed; Debian's package is postgresql-15")
    return str(directory / program)


def as_owner(*command: str, at_the_end: str = "KILL") -> list[str]:
    """Return the command that runs another one as a user whom PostgreSQL accepts.

    What is started so ends with the thread that has started it, be it by kill -9 of the
    process. So servers are started by a thread that lives for as long as they are needed.

    Args:
        command: what to run.
        at_the_end: the signal that it gets then, without SIG.
    """
    wrapped = ["setpriv", "--pdeathsig", at_the_end]
    if os.geteuid() == 0:
        owner = _owner()
        wrapped += [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return [*wrapped, *command]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what configures PostgreSQL, with `variables`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**clean, "LC_ALL": "C.UTF-8", **variables}


def run(*command: str, timeout_s: float = _TIMEOUT_S, text: str = "") -> str:
    """Run a program to its end, with `text` as its input, and return what it wrote.

    Raises:
        Failed: it ended with an error, or did not end within `timeout_s` seconds.
    """
    try:
        done = subprocess.run(
            command,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
            env=environment(),
            # Not the caller's, which the owner may not be allowed to enter.
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command} takes more than {timeout_s} s: {error.output!r}") from None
    if done.returncode:
        raise Failed(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def query(dsn: str, sql: str, timeout_s: float = 10.0) -> list[str]:
    """Run statements, each in a transaction of its own, up to the first that fails.

    Args:
        dsn: where to connect.
        sql: the statements, divided by semicolons.
        timeout_s: how long connecting and all of them may take together.

    Returns:
        a line for each row, columns divided by `|`.

    Raises:
        Failed: one was refused, or there was no answer in time.
    """
    command = [path_of("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", dsn]
    text = f"\\set ON_ERROR_STOP on\n{sql};\n"
    return run(*command, timeout_s=timeout_s, text=text).splitlines()


@contextmanager
def owned_directory() -> Iterator[Path]:
    """Yield a new directory in which the owner of servers may write; it is removed at the end.

    It is not below pytest's directories, into which no other user may look.
    """
    directory = Path(tempfile.mkdtemp(prefix="q-postgres-"))
    try:
        if os.geteuid() == 0:
            os.chown(directory, _owner().pw_uid, _owner().pw_gid)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def copy_template(data: Path) -> None:
    """Make a data directory for a server: a copy, since to make one anew takes seconds."""
    run("cp", "--archive", "--reflink=auto", str(_template()), str(data))


def _owner() -> pwd.struct_passwd:
    """The user whom servers run as where tests run as root."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@cache
def _template() -> Path:
    """The data directory of a server that never ran, made once for all test runs."""
    version = run(path_of("postgres"), "--version").split()[2]
    template = _BUILD / f"postgres-{version}-{os.geteuid()}"
    _BUILD.mkdir(exist_ok=True)
    with (_BUILD / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            with owned_directory() as directory:
                made = str(directory / "data")
                _make(made)
                unfinished = template.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                run("cp", "--archive", made, str(unfinished))
                unfinished.rename(template)
    return template


def _make(data: str) -> None:
    """Make a data directory with the role of q in it; whoever is on this machine may connect."""
    run(
        *as_owner(path_of("initdb"), "--pgdata", data, "--username", SUPERUSER),
        *("--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"),
    )
    run(
        *as_owner(path_of("postgres"), "--single", "-D", data, "postgres"),
        text=f"CREATE ROLE {ROLE} LOGIN\n",
    )
