"""Removing all messages of a queue. Whoever imports this loads gRPC."""

import sys
from typing import Final

import click

from qmq.cli.actions import Purge
from qmq.cli.connect import connected
from qmq.cli.failures import Failure
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.client._sync.client import Client
from qmq.wire import q_pb2 as pb

_FAILURE: Final = "cannot purge queue"


def purge(action: Purge, settings: Settings) -> None:
    """Remove all messages of a queue, and show how many; ask first unless told not to.

    Raises Failure, also if a person thinks better of it; click.UsageError if there is nobody
    to ask.
    """
    with connected(settings, _FAILURE) as connection:
        if not action.is_sure:
            _ask(Client.over(connection.channel), action.queue_id)
        request = pb.PurgeRequest(queue_id=action.queue_id)
        reply = connection.ask("Purge", request, pb.PurgeResponse)
    write_reply(reply, action.output, {})


def _ask(client: Client, queue_id: str) -> None:
    """Let a person type the queue's name. Raises Failure, click.UsageError, QmqError."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask on: say --yes if you mean to remove all messages"
        )
    stats = client.queue(queue_id).stats()
    name = stats.info.name or stats.info.id
    count = stats.ready + stats.leased + stats.delayed
    question = f"This removes all {count:,} messages of queue {name}. Type its name to go on"
    if click.prompt(question, default="", show_default=False, err=True) != name:
        raise Failure(f"{_FAILURE}: that is not its name; nothing is removed")
