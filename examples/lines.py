"""Put every line of standard input into a queue, or print every message of a queue.

    python examples/lines.py add QUEUE < file
    python examples/lines.py pop QUEUE > file

QUEUE is a queue's id or name. The server is the one at QCLI_SERVER, or on this machine.
"""

import os
import sys

from qmq.client.channel import Channel
from qmq.client.errors import RpcError
from qmq.wire import q_pb2 as pb


def add(channel: Channel, queue_id: str) -> None:
    """Add each line, its end included, as one message."""
    for line in sys.stdin.buffer:
        request = pb.AddRequest(queue_id=queue_id, message=pb.NewMessage(payload=line))
        channel.call("Add", request, pb.AddResponse)


def pop(channel: Channel, queue_id: str) -> None:
    """Pop until the queue is empty, and print the payloads as they are."""
    while True:
        try:
            response = channel.call("Pop", pb.PopRequest(queue_id=queue_id), pb.PopResponse)
        except RpcError as error:
            if error.code == "NOT_FOUND" and error.message.endswith("is empty"):
                return
            raise
        sys.stdout.buffer.write(response.message.payload)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["add", queue_id]:
            command = add
        case ["pop", queue_id]:
            command = pop
        case _:
            sys.exit(__doc__)
    with Channel(os.environ.get("QCLI_SERVER", ":10002")) as channel:
        command(channel, queue_id)
