"""An ASGI application that answers each request with the headers that it was given, as JSON."""

import json

from qmq.transport.asgi import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and end as asked; tell what came."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    body = json.dumps({"path": scope["path"], "headers": headers}).encode()
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": body})
