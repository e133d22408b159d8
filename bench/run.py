"""Measures q beside Redis, beanstalkd, RabbitMQ and NATS JetStream, and writes a report.

    make bench

How it measures, and what the figures mean, is in docs/performance.md.
"""

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from servers import scratch_directory
from suite import machine, results
from suite.report import drawings, page, publish
from suite.results import Result
from suite.runner import Runner, steps
from suite.scenarios import SERVERS, SYSTEMS, Point, chosen, points, sessions
from suite.systems import running_system

_ROOT = Path(__file__).parent.parent
RESULTS = _ROOT / "bench/results"
_UNPUBLISHED = _ROOT / "build/bench"
_QUICK_S, _SECONDS = 0.3, 1.0


def main() -> None:
    """Measure, and write what was found."""
    arguments = parse()
    if arguments.publish:
        newest = results.newest(RESULTS)
        write(publish(results.read(newest) if newest else None, _ROOT))
        return
    quick = arguments.quick
    wanted = wanted_points(arguments)
    systems = [system for system in SYSTEMS if system.server in arguments.peers]
    with scratch_directory() as scratch:
        result = Result(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit(),
            machine=machine.describe(Path(scratch)),
            fsync={},
            repetitions=arguments.repetitions or (1 if quick else 3),
            seconds=arguments.seconds or (_QUICK_S if quick else _SECONDS),
            quick=quick,
        )
        todo = steps(sessions(wanted, quick=quick), systems, result.repetitions)
        runner = Runner(result, running_system, Path(scratch), generators=arguments.generators)
        runner.run(todo, _UNPUBLISHED / "unfinished.json")
    (_UNPUBLISHED / "unfinished.json").unlink()
    is_whole = not quick and not arguments.only and set(arguments.peers) == set(SERVERS)
    name = f"{result.date[:10]}-{result.commit.rstrip('+')}"
    path = (RESULTS if is_whole else _UNPUBLISHED) / f"{name}.json"
    result.write(path)
    if is_whole:
        write(publish(result, _ROOT))
    else:
        write({_UNPUBLISHED / "report.md": page(result, ".")})
        write({_UNPUBLISHED / f"{each}.svg": text for each, text in drawings(result).items()})
    print(page(result, "."))
    print(f"Written: {path.relative_to(_ROOT)}", file=sys.stderr)


def parse() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description="q beside other queues.")
    parser.add_argument("--quick", action="store_true", help="about three minutes, few points")
    parser.add_argument("--deep", action="store_true", help="also among ten million messages")
    parser.add_argument("--repetitions", type=int, help="3, or 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of each point, at most")
    parser.add_argument(
        "--generators", type=int, default=1, help="processes that load a server together"
    )
    parser.add_argument(
        "--only", type=names, default=[], help="families, or kinds of one: unary/lease,mixed"
    )
    parser.add_argument(
        "--peers", type=names, default=list(SERVERS), help=f"some of {','.join(SERVERS)}"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write README and report of the newest result anew"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.peers) - set(SERVERS):
        parser.error(f"there is no server {min(unknown)}")
    return arguments


def names(text: str) -> list[str]:
    """Split a list at commas."""
    return text.split(",")


def wanted_points(arguments: argparse.Namespace) -> list[Point]:
    """List the points that were asked for."""
    try:
        return chosen(points(quick=arguments.quick, deep=arguments.deep), arguments.only)
    except ValueError as error:
        sys.exit(f"--only: {error}")


def commit() -> str:
    """Name the commit that is checked out, with a + if files differ from it."""
    name = _git("rev-parse", "--short=10", "HEAD")
    return f"{name}+" if _git("status", "--porcelain", "--untracked-files=no") else name


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def write(files: dict[Path, str]) -> None:
    """Write texts to files."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
