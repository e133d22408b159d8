"""What stands between a store and its database, and loses requests or answers as told."""

import asyncio
from enum import Enum, auto
from typing import Self
from urllib.parse import urlsplit


class Lose(Enum):
    """What is lost of the next exchange, and the connection with it."""

    NOTHING = auto()
    #: The database never hears of it.
    REQUEST = auto()
    #: The database does it, and nobody hears of that.
    ANSWER = auto()


class Proxy:
    """Takes connections for a database on a port of its own."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self._tasks: list[asyncio.Future[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        #: What happens to what comes next, once.
        self.lose = Lose.NOTHING
        #: How often something was lost.
        self.lost = 0
        #: Bytes a second that reach the database at most; None for as many as come.
        self.rate: int | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all that is open."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    @property
    def dsn(self) -> str:
        """The database's address by way of this."""
        port = self._server.sockets[0].getsockname()[1]
        user, _, _ = self._to.netloc.rpartition("@")
        return self._to._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()

    async def _take(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        port = self._to.port
        assert port
        database, to_database = await asyncio.open_connection("127.0.0.1", port)
        both = (to_client, to_database)
        self._writers += both
        self._tasks += (
            asyncio.ensure_future(self._pass_on(client, to_database, both, Lose.REQUEST)),
            asyncio.ensure_future(self._pass_on(database, to_client, both, Lose.ANSWER)),
        )

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        lost: Lose,
    ) -> None:
        try:
            while data := await reader.read(65536):
                if self.lose is lost:
                    self.lose = Lose.NOTHING
                    self.lost += 1
                    break
                if self.rate and lost is Lose.REQUEST:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(data)
        except OSError:
            pass
        for each in both:
            each.close()
