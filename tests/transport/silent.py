"""An ASGI application that reads no request and answers none."""

import asyncio

from qmq.transport.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and end as asked, and wait for the rest of the time."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
    else:
        await asyncio.Event().wait()
