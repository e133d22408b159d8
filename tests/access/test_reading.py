"""The access file: what it says, and what is told where it is wrong."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmq.access.policy import Bounds, Issuer, JwtRule, Quota
from qmq.access.reading import parse_policy
from qmq.errors import ConfigError
from tests.access.policies import grant

SHA = "ab" * 32

FULL = f"""
# people write what they like
[[identity]]
name = "billing-worker"
tokens = [
  {{ id = "k3f9", sha256 = "{SHA}", expires = 2027-11-30T12:00:00Z, note = "x" }},
]
certificates = ["CN=billing-worker,O=Example"]
jwt = [ {{ issuer = "https://idp.example", subject = "worker", claims = {{ group = "billing" }} }} ]
rights = [
  {{ queues = "billing.*", may = ["produce", "consume"] }},
  {{ selector = "team=billing", may = ["browse"] }},
]
calls_per_second = 1000
calls_max = 100
connections_max = 50

[[identity]]
name = "nobody-yet"

[[quota]]
queues = "billing.*"
queues_max = 100
messages_max = 1_000_000
bytes_max = 5

[[issuer]]
issuer = "https://idp.example"
audiences = ["q"]
jwks_file = "keys.json"
"""


def test_all_of_it_is_read() -> None:
    """Each key means what docs/access.md says."""
    policy = parse_policy(FULL)

    worker = policy.identities["billing-worker"]
    [token] = worker.tokens
    assert (token.id, token.sha256, token.note) == ("k3f9", SHA, "x")
    assert token.expires == datetime(2027, 11, 30, 12, tzinfo=UTC)
    assert worker.certificates == ("CN=billing-worker,O=Example",)
    assert worker.jwts == (
        JwtRule(issuer="https://idp.example", subject="worker", claims=(("group", "billing"),)),
    )
    assert worker.grants == (
        grant("billing.*", "produce,consume"),
        grant("team=billing", "browse"),
    )
    assert worker.bounds == Bounds(calls_per_second=1000, calls_max=100, connections_max=50)
    assert policy.identities["nobody-yet"].grants == ()
    assert policy.quotas == (
        Quota(pattern="billing.*", queues_max=100, messages_max=1_000_000, bytes_max=5),
    )
    assert policy.issuers == (
        Issuer(issuer="https://idp.example", audiences=("q",), jwks_file="keys.json"),
    )


def test_an_empty_file_is_about_nobody() -> None:
    """It is no error: everybody is refused."""
    assert parse_policy("").identities == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identity = [", "is not valid TOML: Invalid value (at end of document)"),
        ("[[identty]]", "line 1: identty: unknown key 'identty'; did you mean identity?"),
        (
            "[identity]\nname='x'",
            "line 1: identity: must be a list; got a table; write [[identity]], in double brackets",
        ),
        (
            '[[identity]]\nname = "a"\nright = []',
            "line 3: identity[1].right: unknown key 'right'; did you mean rights?",
        ),
        ("[[identity]]\ntokens = []", "line 1: identity[1]: has no name"),
        (
            '[[identity]]\nname = "a b"',
            (
                "line 2: identity[1].name: must be 1 to 128 of A-Z a-z 0-9 . _ @ -"
                " beginning with one"
                " of the first; got 'a b'"
            ),
        ),
        (
            '[[identity]]\nname = "a"\n\n[[identity]]\nname = "a"',
            "line 5: identity[2].name: the name 'a' stands at identity[1].name already",
        ),
        (
            '[[identity]]\nname = "a"\nrights = [{ queues = "x", may = ["comsume"] }]',
            "line 3: identity[1].rights[1].may[1]: unknown right 'comsume'; did you mean consume?",
        ),
        (
            '[[identity]]\nname = "a"\nrights = [{ queues = "x", may = [] }]',
            (
                "line 3: identity[1].rights[1].may: must name one or more of produce,"
                " consume, browse,"
                " manage and admin"
            ),
        ),
        (
            '[[identity]]\nname = "a"\nrights = [{ may = ["browse"] }]',
            (
                'line 3: identity[1].rights[1]: must have either queues, as "billing.*" or'
                ' "*" for all,'
                ' or a selector, as "team=billing"'
            ),
        ),
        (
            '[[identity]]\nname = "a"\nrights = [{ selector = "team=", may = ["browse"] }]',
            (
                "line 3: identity[1].rights[1].selector: at its end: expected a value"
                ' ("" is the empty one)'
            ),
        ),
        (
            '[[identity]]\nname = "a"\ntokens = [{ id = "X", sha256 = "y" }]',
            "line 3: identity[1].tokens[1].id: must be 1 to 32 of 0-9 a-z; got 'X'",
        ),
        (
            '[[identity]]\nname = "a"\ntokens = [{ id = "x", sha256 = "q_x_secret" }]',
            (
                "line 3: identity[1].tokens[1].sha256: must be a SHA-256: 64 of 0-9 a-f, as"
                " `q tokens"
                " make` writes it; got a text of 10 characters"
            ),
        ),
        (
            (
                f'[[identity]]\nname = "a"\ntokens = [{{ id = "x", sha256 = "{SHA}",'
                " expires = 9999-12-31T23:59:59-05:00 }]"
            ),
            (
                "line 3: identity[1].tokens[1].expires: must be in the years 1 to 9999 of UTC,"
                " which replies can tell"
            ),
        ),
        (
            (
                f'[[identity]]\nname = "a"\ntokens = [{{ id = "x", sha256 = "{SHA}",'
                " expires = 2026-11-30T12:00:00 }]"
            ),
            (
                "line 3: identity[1].tokens[1].expires: must be a moment with its time zone, as in"
                " 2026-11-30T12:00:00Z; got a moment"
            ),
        ),
        (
            '[[identity]]\nname = "a"\ncalls_max = 0',
            "line 3: identity[1].calls_max: must be a whole number of at least 1; got 0",
        ),
        (
            '[[identity]]\nname = "a"\ncalls_max = true',
            "line 3: identity[1].calls_max: must be a whole number of at least 1; got true",
        ),
        (
            '[[identity]]\nname = "a"\njwt = [{ issuer = "i" }]',
            (
                "line 3: identity[1].jwt[1]: must have a subject or claims, else it would"
                " be anybody's"
                " of the issuer"
            ),
        ),
        (
            '[[identity]]\nname = "a"\njwt = [{ issuer = "i", subject = "s" }]',
            "line 3: identity[1].jwt[1].issuer: 'i' is the issuer of no [[issuer]]",
        ),
        (
            '[[issuer]]\nissuer = "i"\naudiences = []\njwks_file = "f"',
            (
                "line 3: issuer[1].audiences: must name one or more audiences, else JWTs made for"
                " others would do"
            ),
        ),
        (
            '[[issuer]]\nissuer = "i"\naudiences = ["q"]',
            "line 1: issuer[1]: must have either a jwks_file or a jwks_url",
        ),
        (
            '[[quota]]\nqueues = "x"',
            "line 1: quota[1]: must have queues_max, messages_max or bytes_max",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    """The line, the key, the rule, and what was probably meant."""
    with pytest.raises(ConfigError) as error:
        parse_policy(text)

    assert error.value.message == message


@pytest.mark.parametrize("value", ["[" * 10_000, "9" * 5_000], ids=["brackets", "digits"])
def test_what_python_cannot_read_is_told_like_any_other_fault(value: str) -> None:
    """And does not end whoever looks at the file again and again."""
    with pytest.raises(ConfigError, match="is not valid TOML: "):
        parse_policy(f"identity = {value}")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else comes of it."""
    try:
        parse_policy(text)
    except ConfigError as error:
        assert error.message  # noqa: PT017 - It may be fine as well.
