"""Listing groups. Whoever imports this loads gRPC."""

import sys
from collections.abc import Iterator
from typing import Final

from qmq.cli.call import ListGroups
from qmq.cli.connect import connected
from qmq.cli.failures import Failure, failure_of
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.client._sync.connection import Connection
from qmq.client.errors import QmqError
from qmq.client.options import TIMEOUT_S, Retry
from qmq.limits import PAGE_SIZE_MAX
from qmq.wire import q_pb2 as pb

_FAILURE: Final = "cannot list groups"


def list_groups(action: ListGroups, settings: Settings) -> None:
    """Show the groups of a queue, also where one reply does not carry them.

    Raises Failure, and BrokenPipeError if nobody reads them.
    """
    if sys.stdout is None:
        raise Failure(f"{_FAILURE}: standard output is closed")
    everything = pb.ListGroupsResponse()
    with connected(settings, _FAILURE) as channel:
        connection = Connection(channel, timeout_s=TIMEOUT_S, retry=Retry())
        try:
            for page in _pages(connection, action):
                # There may be as many groups as messages: lines go out as they come.
                if action.output == "jsonl":
                    write_reply(page, action.output, {})
                else:
                    everything.groups.extend(page.groups)
        except QmqError as error:
            raise failure_of(_FAILURE, error) from error
    if action.output != "jsonl":
        write_reply(everything, action.output, {})


def _pages(connection: Connection, action: ListGroups) -> Iterator[pb.ListGroupsResponse]:
    """Go through the pages. Raises QmqError."""
    request = pb.ListGroupsRequest(
        queue_id=action.queue_id,
        page_size=PAGE_SIZE_MAX,
        states=action.states,
    )
    while True:
        page = connection.ask("ListGroups", request, pb.ListGroupsResponse, repeatable=True)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
