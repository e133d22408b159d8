"""Put every line of standard input into a queue, or print every message of a queue.

    python examples/lines.py add QUEUE < file
    python examples/lines.py pop QUEUE > file

QUEUE is a queue's id or name. The server is the one at QCLI_SERVER, or on this machine.
"""

import os
import sys

import qmq


def add(queue: qmq.Queue[bytes | str]) -> None:
    """Add each line, its end included, as one message, in batches."""
    with queue.producer() as producer:
        for line in sys.stdin.buffer:
            producer.submit(line)


def pop(queue: qmq.Queue[bytes | str]) -> None:
    """Pop until the queue is empty, and print the payloads as they are."""
    with queue.popping(prefetch=1_000, wait=0) as messages:
        for message in messages:
            sys.stdout.buffer.write(message.payload)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["add", queue_id]:
            command = add
        case ["pop", queue_id]:
            command = pop
        case _:
            sys.exit(__doc__)
    with qmq.Client(os.environ.get("QCLI_SERVER", ":10002")) as client:
        command(client.queue(queue_id))
