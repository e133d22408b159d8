"""What a command asks of the server."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, as plain values.

    Commands return it instead of calling, so that help, completion and usage errors
    load no gRPC.
    """

    #: How an error message begins, for example `cannot pop message from queue`.
    failure: str
    #: The method's name in the service, for example `Pop`.
    method: str
    #: The request's fields by their names in the proto.
    fields: Mapping[str, object]
    #: Whether the reply is printed.
    prints_reply: bool = True
