"""Following a redrive until it has ended. Whoever imports this loads gRPC."""

import time
from typing import Final

import click

from qmq.cli.actions import Redrive
from qmq.cli.connect import connected
from qmq.cli.execute import queue_names
from qmq.cli.failures import Failure
from qmq.cli.progress import Progress
from qmq.cli.reply import write_reply
from qmq.cli.settings import Settings
from qmq.cli.stop import Interrupted, Stop
from qmq.cli.table import printable
from qmq.client._sync.connection import Connection
from qmq.client.errors import DeadlineExceeded, Unavailable
from qmq.wire import q_pb2 as pb

#: Seconds between two looks, at first and at most.
_PAUSE_S: Final = 0.05
_PAUSE_S_MAX: Final = 1.0


def follow_redrive(action: Redrive, settings: Settings) -> None:
    """Start a redrive, or take one that has begun, and show it when it has ended.

    Raises Failure, also if it gave up; click's Exit if it was interrupted, which leaves the
    redrive alone.
    """
    what = action.start.failure if action.start else "cannot get redrive"
    with connected(settings, what) as connection, Stop():
        redrive_id = action.redrive_id
        try:
            if action.start:
                request = pb.StartRedriveRequest(**action.start.fields)
                started = connection.ask("StartRedrive", request, pb.StartRedriveResponse)
                redrive_id = started.redrive.id
            redrive = _followed(connection, redrive_id)
            names = queue_names(connection.channel) if action.output == "table" else {}
        except Interrupted:
            if redrive_id:
                note = f"qcli: the redrive goes on; to stop it: qcli redrive stop {redrive_id}"
                click.echo(note, err=True)
            raise
    write_reply(pb.GetRedriveResponse(redrive=redrive), action.output, names)
    if redrive.state == pb.Redrive.GAVE_UP:
        raise Failure(f"redrive {redrive.id} gave up: {redrive.message}")


def _followed(connection: Connection, redrive_id: str) -> pb.Redrive:
    """Look at a redrive until it has ended; the server may be away meanwhile.

    Raises QmqError.
    """
    request = pb.GetRedriveRequest(redrive_id=redrive_id)

    def look() -> pb.Redrive:
        return connection.ask("GetRedrive", request, pb.GetRedriveResponse, repeatable=True).redrive

    redrive = look()
    pause_s, problem = _PAUSE_S, ""
    with Progress(redrive.total, "moved", counted=redrive.moved) as progress:
        while redrive.state == pb.Redrive.RUNNING:
            progress.show(redrive.moved, redrive.seen)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
            try:
                redrive = look()
                now_wrong = redrive.message
            except (Unavailable, DeadlineExceeded) as error:
                # The redrive goes on when the server is back.
                now_wrong = error.message
            if now_wrong not in ("", problem):
                progress.note(printable(now_wrong))
            problem = now_wrong
        progress.show(redrive.moved, redrive.seen)
    return redrive
