"""Looking at messages of a queue, page by page. Whoever imports this loads gRPC."""

import shutil
import sys
from collections.abc import Iterator
from typing import Any

from qmq.cli.actions import Browse
from qmq.cli.connect import connected
from qmq.cli.records import browsed_record, line_of
from qmq.cli.reply import reply_json, write_lines, write_output
from qmq.cli.reply_tables import browse_table
from qmq.cli.settings import Settings
from qmq.cli.stop import Stop
from qmq.client._sync.connection import Connection
from qmq.client.codecs import AS_IS
from qmq.client.decode import browsed
from qmq.client.values import BrowsedMessage
from qmq.limits import BROWSED_MESSAGES_MAX
from qmq.wire import q_pb2 as pb


def browse(action: Browse, settings: Settings) -> None:
    """Print messages of a queue.

    Raises Failure, BrokenPipeError if nobody reads them; click's Exit if it was interrupted.
    """
    with connected(settings, "cannot browse queue") as connection, Stop():
        is_first = True
        for page in _pages(connection, action):
            # A page may be empty, since none of its messages matched. If there are none at all, a
            # table says so by its titles.
            if page.messages or (is_first and not page.next_page_token):
                _show(page, action)
                is_first = False


def _pages(connection: Connection, action: Browse) -> Iterator[pb.BrowseResponse]:
    """Go through the pages, until there are enough messages. Raises QmqError."""
    left = action.count
    request = pb.BrowseRequest(**action.fields)
    while left is None or left:
        request.page_size = min(left or BROWSED_MESSAGES_MAX, BROWSED_MESSAGES_MAX)
        page = connection.ask("Browse", request, pb.BrowseResponse, repeatable=True)
        request.page_token = page.next_page_token
        if left is not None:
            left -= len(page.messages)
        yield page
        if not request.page_token:
            return


def _show(page: pb.BrowseResponse, action: Browse) -> None:
    match action.output:
        case "raw":
            write_output(b"".join(each.message.payload + b"\n" for each in page.messages))
        case "json":
            write_lines([reply_json(pb.BrowseResponse(messages=page.messages))])
        case "jsonl":
            write_lines(line_of(browsed_record(each)) for each in _values(page))
        case _:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            write_lines(browse_table(_values(page), width))


def _values(page: pb.BrowseResponse) -> list[BrowsedMessage[Any]]:
    return [browsed(message, AS_IS) for message in page.messages]
