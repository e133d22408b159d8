"""What the console is made of, and what can be made of the API's description."""

import re
from pathlib import Path

import pytest

from scripts.vendor import vendored
from tests.console.node import ROOT, run

CONSOLE = ROOT / "src" / "qmq" / "console"

_CHECK = (
    *("--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"),
    *("--lib", "es2023,dom,dom.iterable", "--noUnusedLocals"),
)

#: A program that makes a queue and adds a message, by types that the description gave.
_PROGRAM = """
import type { components, paths } from "./api";

type Add = paths["/v1/queues/{queue_id}"]["post"];
const body: Add["requestBody"]["content"]["application/json"] = {
  payload: "aGVsbG8=", tags: [{ key: "lang", value: "en" }], options: { delay: "5s", priority: 9 },
};
const query: NonNullable<Add["parameters"]["query"]> = { durability: "FSYNC" };
const settings = { lease_duration: "30s", overflow: "REJECT" as const };
const made: components["schemas"]["NewQueueRequest"] = { store: "DISK", limit: "10", settings };
function told(reply: Add["responses"][200]["content"]["application/json"]): string {
  return reply.message?.meta?.id ?? "";
}
// @ts-expect-error A store that there is not.
const wrong: components["schemas"]["NewQueueRequest"] = { store: "TAPE" };
export { body, made, query, told, wrong };
"""


def test_console_has_no_unknown_names() -> None:
    """Each name that a module uses is there, and each that it has is used."""
    pages = [str(CONSOLE / name) for name in ("main.js", "reference.js")]

    run("typescript/bin/tsc", "--allowJs", "--checkJs", *_CHECK, *pages, directory=ROOT)


@pytest.mark.parametrize(
    ("page", "first"), [("index.html", "main.js"), ("reference.html", "reference.js")]
)
def test_page_names_all_its_modules(page: str, first: str) -> None:
    """So that a browser asks for all of them at once, rather than as one leads to the next."""
    found: set[Path] = set()
    to_visit = [CONSOLE / first]
    while to_visit:
        module = to_visit.pop()
        found.add(module)
        imported = re.findall(r'from ?"(\./[^"]+)"', module.read_text("utf-8"))
        to_visit += {(module.parent / each).resolve() for each in imported} - found
    links = re.findall(r'"modulepreload" href="([^"]+)"', (CONSOLE / page).read_text("utf-8"))

    named = {(CONSOLE / each.removeprefix("../console/")).resolve() for each in links}
    assert named == found - {CONSOLE / first}


def test_what_came_from_npm_is_as_it_came() -> None:
    """Of the versions in requirements/node; scripts/vendor.py copies it."""
    found = {each.name: each.read_text("utf-8") for each in (CONSOLE / "vendor").iterdir()}

    assert found == vendored()


def test_typescript_client_can_be_made_of_the_description(tmp_path: Path) -> None:
    """Its types take what q takes, and nothing else."""
    description = str(ROOT / "src" / "qmq" / "wire" / "openapi.json")
    types = tmp_path / "api.d.ts"
    (tmp_path / "program.ts").write_text(_PROGRAM, encoding="utf-8")

    cli = "openapi-typescript/bin/cli.js"
    run(cli, description, "--output", str(types), directory=tmp_path)
    run("typescript/bin/tsc", "--strict", *_CHECK, "program.ts", directory=tmp_path)
