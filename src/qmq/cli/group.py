"""Listing groups. Whoever imports this loads gRPC."""

from collections.abc import Iterator

from qmq.cli.actions import ListGroups
from qmq.cli.connect import connected
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.client._sync.connection import Connection
from qmq.limits import PAGE_SIZE_MAX
from qmq.wire import q_pb2 as pb


def list_groups(action: ListGroups, settings: Settings) -> None:
    """Show the groups of a queue, also where one reply does not carry them.

    Raises Failure, and BrokenPipeError if nobody reads them.
    """
    everything = pb.ListGroupsResponse()
    with connected(settings, "cannot list groups") as connection:
        for page in _pages(connection, action):
            # There may be as many groups as messages: lines go out as they come.
            if action.output == "jsonl":
                write_reply(page, action.output, {})
            else:
                everything.groups.extend(page.groups)
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
