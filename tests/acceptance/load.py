"""Load on q: threads that add and pop until it is gone, and what they were answered."""

import threading
from collections import defaultdict

import grpc

from qmq.wire import q_pb2 as pb
from tests.acceptance.stock import StockClient


def numbered(writer: int, number: int) -> pb.NewMessage:
    """The message number `number` of a writer; sizes differ, and so do tags."""
    return pb.NewMessage(
        payload=b"%d/%d/" % (writer, number) + bytes(number * 37 % 1_500),
        tags=[pb.Tag(key="writer", value=f"{writer}"), pb.Tag(key="é", value=f"{number}")],
    )


class Load:
    """Threads that add or pop until q is gone, and what they were answered."""

    def __init__(self, client: StockClient) -> None:
        self.client = client
        #: Acknowledged messages by writer, in the order in which they were sent.
        self.added: defaultdict[int, list[pb.Message]] = defaultdict(list)
        #: Acknowledged batches by writer: the metadata of each, in the order sent.
        self.batches: defaultdict[int, list[list[pb.Metadata]]] = defaultdict(list)
        #: Messages handed out by Pop.
        self.popped: list[pb.Message] = []
        self._calls = 0
        self._enough = threading.Event()
        self._lock = threading.Lock()

    def write(
        self,
        queue_id: str,
        writer: int,
        durability: pb.Durability.Level = pb.Durability.UNKNOWN,
    ) -> None:
        """Add numbered messages to a queue."""
        for number in range(1_000_000):
            message = numbered(writer, number)
            try:
                reply = self.client.add(queue_id=queue_id, message=message, durability=durability)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017
                return
            self.added[writer].append(reply.message)
            self._count()

    def write_batches(self, queue_id: str, writer: int, size: int) -> None:
        """Add numbered messages to a queue, so many in one call."""
        for first in range(0, 1_000_000, size):
            batch = [numbered(writer, number) for number in range(first, first + size)]
            try:
                reply = self.client.add_batch(queue_id=queue_id, messages=batch)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017
                return
            self.batches[writer].append(list(reply.messages))
            self._count()

    def pop(self, queue_id: str) -> None:
        """Pop messages of a queue."""
        while True:
            try:
                reply = self.client.pop(queue_id=queue_id)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.NOT_FOUND:
                    continue
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017
                return
            self.popped.append(reply.message)
            self._count()

    def await_enough(self, calls: int) -> None:
        """Wait until that many calls were answered."""
        with self._lock:
            self._calls = -calls
        assert self._enough.wait(30)

    def _count(self) -> None:
        with self._lock:
            self._calls += 1
            if self._calls == 0:
                self._enough.set()
