"""Where a cluster's database is, as a person writes it: a DSN with one host or several.

    postgresql://q:secret@db1:5432,db2:5432/q?sslmode=verify-full

What it does not say (user, password, TLS) comes from where psql takes it from: PGUSER, PGPASSWORD,
~/.pgpass, PGSSLMODE and so on. Its hosts and the database it has to name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlencode

_PORT_DEFAULT: Final = 5432
_PORT_MAX: Final = 65_535
_SCHEME: Final = re.compile("(postgresql|postgres)://")
_PORT: Final = re.compile("[0-9]{1,5}")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")
_IPV6: Final = re.compile(r"\[([0-9A-Fa-f:.%a-z]+)\]")

#: Parameters about TLS, which the driver reads.
_TLS: Final = frozenset(
    {
        "sslmode",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
    }
)
#: What the database is called that decides who leads, and that needs no name.
FIRST: Final = "first"

_NAME: Final = re.compile("([a-z][a-z0-9-]{0,30})=")

_SECRET: Final = frozenset({"password", "sslpassword"})
_KNOWN: Final = _TLS | {"host", "port", "dbname", "user", "password", "passfile"}

#: q writes, so that it always wants what these ask for.
_SESSION: Final = {"target_session_attrs": ("read-write", "primary")}

_FORM: Final = "write postgresql://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE"
_MASK: Final = "***"


class Host(NamedTuple):
    """Where one server listens: a name or an address, or the directory of a Unix socket."""

    name: str
    port: int

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{name}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class Dsn:
    """A database on one of several servers. Shown, it has no passwords in it."""

    #: As it was written, with its password: not to be shown.
    secret_text: str = field(compare=True)
    hosts: tuple[Host, ...] = field(compare=False)
    database: str = field(compare=False)
    #: None: as psql has it. So with the password.
    user: str | None = field(compare=False)
    password: str | None = field(compare=False)
    passfile: str | None = field(compare=False)
    #: Parameters about TLS, by name.
    tls: Mapping[str, str] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a DSN.

        Raises:
            ValueError: the text is none; the message says what is wrong, without the password.
        """
        scheme = _SCHEME.match(text)
        if not scheme:
            raise ValueError(f"it does not begin with postgresql://; {_FORM}")
        authority, path, query = _parts(text[scheme.end() :])
        credentials, _, host_list = authority.rpartition("@")
        user, _, password = credentials.partition(":")
        parameters = _parameters(query)
        hosts = _hosts(
            parameters.get("host", "") if not host_list else unquote(host_list),
            parameters.get("port", ""),
        )
        database = unquote(path) or parameters.get("dbname", "")
        if not database:
            raise ValueError(f"it names no database; {_FORM}")
        return cls(
            secret_text=text,
            hosts=hosts,
            database=database,
            user=unquote(user) or parameters.get("user"),
            password=unquote(password) or parameters.get("password"),
            passfile=parameters.get("passfile"),
            tls={name: value for name, value in parameters.items() if name in _TLS},
        )

    def __str__(self) -> str:
        user = self.user or ""
        password = f":{_MASK}" if self.password else ""
        at = "@" if user or password else ""
        hosts = ",".join(map(str, self.hosts))
        shown = {name: _MASK if name in _SECRET else value for name, value in self.tls.items()}
        query = f"?{urlencode(shown, safe='*/')}" if shown else ""
        return f"postgresql://{user}{password}{at}{hosts}/{self.database}{query}"

    def __repr__(self) -> str:
        return f"Dsn({str(self)!r})"


@dataclass(frozen=True, slots=True)
class Databases:
    """The databases of a cluster: one, or several, each but the first with a name."""

    #: The one that decides who leads.
    first: Dsn
    #: The others, by their names.
    further: Mapping[str, Dsn]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read DSNs with white space between them: DSN, or NAME=DSN, in any order.

        Raises:
            ValueError: one is none, or a name is missing or there twice.
        """
        named: dict[str, Dsn] = {}
        for each in text.split():
            found = _NAME.match(each)
            name = found[1] if found else FIRST
            if name in named:
                raise ValueError(
                    f"two databases are called {name}; all but the one that has been there from the"
                    " beginning need a name: write NAME=postgresql://..."
                    if name == FIRST
                    else f"two databases are called {name}"
                )
            named[name] = Dsn.parse(each[found.end() :] if found else each)
        if FIRST not in named:
            raise ValueError(
                "the first database is missing, which decides who leads: write it without a name"
                if named
                else f"it is empty; {_FORM}"
            )
        first = named.pop(FIRST)
        return cls(first, named)

    @property
    def secret_text(self) -> str:
        """What `parse` reads, with passwords: not to be shown."""
        further = (f"{name}={dsn.secret_text}" for name, dsn in self.further.items())
        return " ".join((self.first.secret_text, *further))

    @property
    def named(self) -> dict[str, Dsn]:
        """All of them by their names, the first one first."""
        return {FIRST: self.first, **self.further}

    def __str__(self) -> str:
        return " ".join((str(self.first), *(f"{each}={dsn}" for each, dsn in self.further.items())))


def _parts(rest: str) -> tuple[str, str, str]:
    """Take apart what follows the scheme: user, password and hosts; database; parameters."""
    location, _, query = rest.partition("?")
    authority, _, path = location.partition("/")
    if "@" in path + query and "@" not in authority:
        # To quote anything here might quote a part of the password.
        raise ValueError("user or password has one of / ? # in it; write them as %2F, %3F, %23")
    if "#" in rest:
        raise ValueError("it has a # in it; write that as %23")
    return authority, path, query


def _parameters(query: str) -> dict[str, str]:
    """Read the parameters behind the question mark, and refuse those that q does not know."""
    try:
        parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError("what follows the ? is not NAME=VALUE&NAME=VALUE") from None
    for name, allowed in _SESSION.items():
        value = parameters.pop(name, allowed[0])
        if value not in allowed:
            raise ValueError(f"{name}: q writes, and so takes only {' or '.join(allowed)}")
    if unknown := sorted(parameters.keys() - _KNOWN):
        raise ValueError(
            f"it has the parameter {unknown[0]!r}, which q does not take;"
            f" it takes {', '.join(sorted({*_KNOWN, *_SESSION}))}"
        )
    return parameters


def _hosts(text: str, ports: str) -> tuple[Host, ...]:
    """Read the hosts, divided by commas, each with its port or with those of the parameter."""
    if not text:
        raise ValueError(f"it names no host; {_FORM}")
    names = text.split(",")
    defaults = ports.split(",") if ports else [str(_PORT_DEFAULT)]
    if len(defaults) == 1:
        defaults *= len(names)
    if len(defaults) != len(names):
        raise ValueError(f"it names {len(names)} hosts and {len(defaults)} ports for them")
    return tuple(_host(*each) for each in zip(names, defaults, strict=True))


def _host(text: str, default_port: str) -> Host:
    if text.startswith("/"):
        return Host(text, _port(default_port))
    name, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text, default_port
    if bracketed := _IPV6.fullmatch(name):
        return Host(bracketed[1], _port(port))
    if ":" in name:
        raise ValueError(f"{text!r} is ambiguous; write an IPv6 host in brackets: [::1]:5432")
    if not _HOST.fullmatch(name):
        raise ValueError(f"{name!r} is no host; {_FORM}")
    return Host(name, _port(port))


def _port(text: str) -> int:
    if not (_PORT.fullmatch(text) and 0 < int(text) <= _PORT_MAX):
        raise ValueError(f"the port {text!r} is not a number from 1 to {_PORT_MAX}")
    return int(text)
