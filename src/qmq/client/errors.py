"""What a call can end with instead of a reply."""


class AddressError(ValueError):
    """The text is no address of a server."""


class RpcError(Exception):
    """The server refused a call or failed in it.

    `code` is the name of the gRPC status, for example NOT_FOUND; `message` is the
    server's sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ServerNotReached(RpcError):
    """No server was there to take the call, so nothing has happened."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__("UNAVAILABLE", f"no server at {address}: {reason}")
