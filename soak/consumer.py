"""One consumer of the soak: leases, writes down what it got, acks. Killed at any moment.

    consumer.py ADDRESS QUEUE JOURNAL NAME

Its journal is a line for each thing that it knows, written before the next one is begun:
a delivery before its work, an ack that is tried, and the answer to it. `moment` is
time.time_ns on this machine, whose clock the server reads too.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable

import grpc
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb

_BATCH = 50
_WAIT_S = 1
_PAUSE_S = 0.05
#: What a batch is worked on for: time to be killed in.
_WORK_S_MAX = 0.05


def main(address: str, queue: str, journal: str, name: str) -> None:
    """Lease and ack until killed."""
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with grpc.insecure_channel(address) as channel:
        lease = channel.unary_unary(
            "/proto.Q/Lease", pb.LeaseRequest.SerializeToString, pb.LeaseResponse.FromString
        )
        ack = channel.unary_unary(
            "/proto.Q/Ack", pb.AckRequest.SerializeToString, pb.AckResponse.FromString
        )
        while True:
            try:
                messages = lease(
                    pb.LeaseRequest(
                        queue_id=queue,
                        messages_max=_BATCH,
                        wait=Duration(seconds=_WAIT_S),
                        consumer=name,
                    ),
                    timeout=_WAIT_S + 5,
                ).messages
            except grpc.RpcError:
                time.sleep(_PAUSE_S)
                continue
            if messages:
                _write(fd, [_delivery(message) for message in messages])
                time.sleep(random.uniform(0, _WORK_S_MAX))
                _ack_all(fd, ack, queue, [message.lease_id for message in messages])


def _ack_all(fd: int, ack: Callable[..., pb.AckResponse], queue: str, lease_ids: list[str]) -> None:
    """Ack until there is an answer."""
    _write(fd, [{"try": lease_id} for lease_id in lease_ids])
    while True:
        try:
            reply = ack(pb.AckRequest(queue_id=queue, lease_ids=lease_ids), timeout=5)
        except grpc.RpcError:
            time.sleep(_PAUSE_S)
            continue
        moment = time.time_ns()
        _write(
            fd,
            [
                {"acked": lease_id, "moment": moment}
                if result.code == 0
                else {"refused": lease_id, "why": result.message}
                for lease_id, result in zip(lease_ids, reply.results, strict=True)
            ],
        )
        return


def _delivery(message: pb.LeasedMessage) -> dict[str, object]:
    return {
        "lease": message.lease_id,
        "message": message.message.meta.id,
        "count": message.delivery_count,
        "expires": message.lease_expires_at.ToNanoseconds(),
        "moment": time.time_ns(),
    }


def _write(fd: int, records: list[dict[str, object]]) -> None:
    os.write(fd, "".join(json.dumps(record) + "\n" for record in records).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
