"""What a DSN says, what is refused in one, and that it never shows its password."""

import re

import pytest

from qmq.store.postgres.dsn import Dsn, Host


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://q:pw@db/q", [Host("db", 5432)]),
        ("postgres://q@db1:5433,db2/q", [Host("db1", 5433), Host("db2", 5432)]),
        ("postgresql://[::1]:5433,[::2]/q", [Host("::1", 5433), Host("::2", 5432)]),
        ("postgresql:///q?host=/run/postgresql", [Host("/run/postgresql", 5432)]),
        ("postgresql://db1,db2/q?port=6000", [Host("db1", 6000), Host("db2", 6000)]),
        ("postgresql:///q?host=db1,db2&port=1,2", [Host("db1", 1), Host("db2", 2)]),
    ],
)
def test_hosts_are_one_or_several(text: str, hosts: list[Host]) -> None:
    """Each with its own port, with one for all, or with PostgreSQL's own."""
    assert list(Dsn.parse(text).hosts) == hosts


def test_parts_are_read_as_they_were_meant() -> None:
    """Escapes are undone, and a password may have an @ in it as it is."""
    dsn = Dsn.parse("postgresql://u%20ser:p@ss%2F@db/my%20db?sslmode=require&passfile=/p")

    assert (dsn.user, dsn.password, dsn.database) == ("u ser", "p@ss/", "my db")
    assert (dict(dsn.tls), dsn.passfile) == ({"sslmode": "require"}, "/p")


def test_nothing_that_is_shown_has_the_password() -> None:
    """Neither as a text nor among other values."""
    dsn = Dsn.parse("postgresql://q:hush@db1,db2:1/q?sslmode=require&sslpassword=hush")

    shown = "postgresql://q:***@db1:5432,db2:1/q?sslmode=require&sslpassword=***"
    assert str(dsn) == shown
    assert repr([dsn]) == f"[Dsn('{shown}')]"
    assert Dsn.parse(dsn.secret_text) == dsn


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "does not begin with postgresql://"),
        ("mysql://q:hush@db/q", "does not begin with postgresql://"),
        ("postgresql://q:hush@/q", "names no host"),
        ("postgresql://q:hush@db", "names no database"),
        ("postgresql://q:hush@db/", "names no database"),
        ("postgresql://q:hush/hush@db/q", "%2F"),
        ("postgresql://q:hush#hush@db/q", "%23"),
        ("postgresql://q:hush@db:x/q", "port 'x' is not a number"),
        ("postgresql://q:hush@db:0/q", "port '0' is not a number"),
        ("postgresql://q:hush@db:70000/q", "port '70000' is not a number"),
        ("postgresql://q:hush@::1/q", "in brackets"),
        ("postgresql://q:hush@d b/q", "'d b' is no host"),
        ("postgresql://q:hush@db,/q", "'' is no host"),
        ("postgresql://q:hush@a,b,c/q?port=1,2", "names 3 hosts and 2 ports"),
        ("postgresql://q:hush@db/q?hush", "NAME=VALUE"),
        ("postgresql://q:hush@db/q?statement_timeout=5", "'statement_timeout', which q does not"),
        ("postgresql://db/q?password=hush&target_session_attrs=standby", "only read-write"),
    ],
)
def test_error_says_what_is_wrong_and_not_the_password(text: str, rule: str) -> None:
    """A person can repair it, and paste the error into a ticket."""
    with pytest.raises(ValueError, match=re.escape(rule)) as raised:
        Dsn.parse(text)

    assert "hush" not in str(raised.value)
