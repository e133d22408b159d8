"""A client of the REST API that sends what it is told and checks nothing."""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Seconds after which a request has failed.
_TIMEOUT_S = 60.0

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class RestReply:
    """An HTTP response."""

    status: int
    #: By name in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, without what differs between runs."""
        text = _UUID.sub("<id>", self.body.decode())
        return _CREATED.sub("<time>", text)

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The body, as the JSON that it says it is."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, int, str]:
        """The HTTP status, and code and message of the google.rpc.Status in the body."""
        status = self.json
        assert set(status) <= {"code", "message", "details"}, status
        assert self.status >= 400, self
        return self.status, status["code"], status["message"]


def rest(
    address: str,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] = JSON,
) -> RestReply:
    """Send a request on a connection of its own; a body that is no bytes is sent as JSON."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_S)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, data, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return RestReply(response.status, found, response.read())
    finally:
        connection.close()
