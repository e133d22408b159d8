"""Changes to an access file by `q tokens`: what people wrote stays as it is."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from qmq.access.tokens import presented
from qmq.bin.q_tokens import tokens
from qmq.errors import ConfigError
from qmq.server import token_file
from qmq.server.access_file import read_policy
from qmq.server.token_texts import lines_of, moment_in

GRANT = {"queues": "billing.*", "may": ["produce", "consume"]}

WRITTEN = """\
# Ours, since 2026.
[[identity]]
name   = "worker"   # the one in the cellar
tokens = []
rights = [ { queues = "x", may = [ "browse" ] } ]

[[quota]]
queues = "x"
messages_max = 1_000
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a file that people wrote."""
    path = tmp_path / "access.toml"
    path.write_text(WRITTEN)
    path.chmod(0o640)
    return path


def made(path: Path, identity: str = "worker") -> str:
    """Make a token without an end."""
    return token_file.make(path, identity, expires=None, note="", grants=[]).text


def test_a_token_is_that_of_its_identity(path: Path) -> None:
    """With all that is known of it, but for its secret."""
    expires = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)

    text = token_file.make(path, "worker", expires=expires, note="cron", grants=[]).text

    sent = presented(text.encode())
    assert sent is not None
    identity, token = read_policy(path).by_token(sent, 0)
    assert (identity.name, token.expires, token.note) == ("worker", expires, "cron")
    assert token.created is not None
    assert datetime.now(UTC) - token.created < timedelta(minutes=1)
    assert text.split("_", 2)[2] not in path.read_text()


def test_what_people_wrote_stays(path: Path) -> None:
    """Comments, spaces, and who may read it."""
    made(path)
    token = made(path)
    token_file.revoke(path, token.split("_")[1])

    text = path.read_text()
    rest = re.sub(r"tokens = \[.*?\]\n", "tokens = []\n", text, flags=re.DOTALL)
    assert rest == WRITTEN
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_made_is_for_nobody_else(tmp_path: Path) -> None:
    """It is whole from the beginning."""
    path = tmp_path / "new.toml"

    token_file.make(path, "worker", expires=None, note="", grants=[GRANT])

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("# Who may call q")
    assert [*read_policy(path).identities] == ["worker"]
    assert [each.name for each in tmp_path.iterdir()] == ["new.toml"]


def test_of_a_link_the_file_is_changed_that_it_leads_to(path: Path, tmp_path: Path) -> None:
    """It stays a link."""
    link = tmp_path / "link.toml"
    link.symlink_to(path)

    made(link)

    assert link.is_symlink()
    assert len(read_policy(path).identities["worker"].tokens) == 1


@pytest.mark.parametrize(
    ("identity", "grants", "message"),
    [
        ("other", [], "there is no identity 'other'; to make it, say what it may do"),
        ("worker", [GRANT], "the identity 'worker' is there, and has rights"),
        ("other", [{"queues": "x", "may": ["eat"]}], "unknown right 'eat'"),
        ("a b", [GRANT], "name: must be 1 to 128"),
    ],
)
def test_what_would_be_wrong_is_not_written(
    path: Path, identity: str, grants: list[dict[str, object]], message: str
) -> None:
    """The file stays as it was."""
    with pytest.raises(ConfigError) as error:
        token_file.make(path, identity, expires=None, note="", grants=grants)

    assert message in error.value.message
    assert path.read_text() == WRITTEN


def test_a_faulty_file_is_not_made_worse(path: Path) -> None:
    """What is wrong with it is told."""
    path.write_text(WRITTEN.replace("rights", "right"))

    with pytest.raises(ConfigError, match="did you mean rights"):
        made(path)
    with pytest.raises(ConfigError, match="did you mean rights"):
        token_file.revoke(path, "x")


def test_an_unknown_token_cannot_be_revoked(path: Path) -> None:
    """Whoever mistypes an id is told."""
    with pytest.raises(ConfigError, match="no token with the id 'zzz'"):
        token_file.revoke(path, "zzz")


def test_nobody_loses_a_token_that_others_make(path: Path) -> None:
    """Each waits for the one before."""
    with ThreadPoolExecutor(8) as pool:
        made_ones = list(pool.map(lambda _: made(path), range(16)))

    kept = {token.id for token in read_policy(path).identities["worker"].tokens}
    assert kept == {text.split("_")[1] for text in made_ones}


def test_lists_have_no_secrets(path: Path) -> None:
    """A line each: whose, which, until when, and what for."""
    past = datetime(2020, 1, 1, tzinfo=UTC)
    first = token_file.make(path, "worker", expires=past, note="old", grants=[]).token
    second = token_file.make(path, "new", expires=None, note="", grants=[GRANT]).token

    assert list(lines_of(read_policy(path))) == [
        f"worker  {first.id}  expired 2020-01-01 00:00  old",
        f"new  {second.id}  never expires",
    ]


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "9999999d", "90m"])
def test_only_a_span_is_one(text: str) -> None:
    """Hours, days or weeks."""
    with pytest.raises(ValueError, match=r"is no time such as 12h, 90d or 52w"):
        moment_in(text)


def test_a_span_is_from_now_on() -> None:
    """To the second."""
    for text, span in (("12h", timedelta(hours=12)), ("90d", timedelta(days=90))):
        assert abs(moment_in(text) - datetime.now(UTC) - span) < timedelta(minutes=1)
    with pytest.raises(ValueError, match="too far ahead"):
        moment_in("999999w")


def test_the_command_prints_the_token_alone(path: Path) -> None:
    """So that it can go into a file; what else is said goes to standard error."""
    run = CliRunner().invoke(tokens, ["make", "worker", "--access", str(path)])

    assert run.exit_code == 0
    assert re.fullmatch(r"q_[0-9a-z]{10}_[A-Za-z0-9_-]{43}\n", run.stdout)
    assert "kept nowhere" in run.stderr


def test_the_command_warns_of_an_open_file(path: Path) -> None:
    """The hashes are of no use to others, but the names are theirs then."""
    path.chmod(0o644)

    run = CliRunner().invoke(tokens, ["list", "--access", str(path)])

    assert run.stdout == "worker  has no token\n"
    assert "others can read" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make", "x", "--may", "browse"], "--may needs --queues or --selector"),
        (["make", "x", "--queues", "*"], "which is missing"),
        (["make", "x", "--expires", "soon"], "'soon' is no time such as"),
        (["revoke"], "Missing argument 'ID'"),
    ],
)
def test_usage_errors_say_what_is_missing(path: Path, arguments: list[str], message: str) -> None:
    """With status 2."""
    run = CliRunner().invoke(tokens, [*arguments, "--access", str(path)])

    assert run.exit_code == 2
    assert message in run.stderr
