# Generated from _async by scripts/unasync.py; change it there.
"""Calls with a deadline, repeated where that is safe."""

import time
from typing import TypeVar

from google.protobuf.message import Message

from qmq.client.errors import Overloaded, Unavailable
from qmq.client.on_threads.channel import Channel
from qmq.client.on_threads.concurrency import sleep
from qmq.client.options import Retry, must_be, seconds
from qmq.client.tracing import calling

Reply = TypeVar("Reply", bound=Message)


class Connection:
    """What a client, its queues and their producers make calls with."""

    def __init__(self, channel: Channel, *, timeout_s: float, retry: Retry) -> None:
        """Make a connection.

        Args:
            channel: what the calls go over.
            timeout_s: how long a call may take, repeats included, apart from what it waits.
            retry: which calls to repeat, and for how long.
        """
        must_be(Retry, retry=retry)
        self.channel = channel
        self.retry = retry
        #: How long a call may take, repeats included, apart from what it waits.
        self.timeout_s = timeout_s
        self._retry_s = seconds(retry.duration, "retry.duration")
        #: Whether adds are repeated that would not be without a dedup_id of the client's.
        self.makes_dedup_ids = retry.adds and self._retry_s > 0

    def ask(
        self, method: str, request: Message, reply_type: type[Reply], *, repeatable: bool = False
    ) -> Reply:
        """Call `method` of the service and return its reply, decoded. See `call`."""
        reply = self.call(method, request.SerializeToString(), repeatable=repeatable)
        return reply_type.FromString(reply)

    def call(
        self, method: str, request: bytes, *, repeatable: bool = False, wait_s: float = 0.0
    ) -> bytes:
        """Call `method` of the service and return its reply.

        Args:
            method: for example `Pop`.
            request: encoded.
            repeatable: whether to repeat it when it may have taken effect already.
            wait_s: how long the server is asked to wait for something to happen.

        Raises QmqError.
        """
        now = time.monotonic
        start = now()
        deadline = start + self.timeout_s
        pauses_s = self.retry.pauses_s()
        with calling(method, request) as span:
            while True:
                left_s = max(deadline - now(), 0.0)
                try:
                    reply = self.channel.call(method, request, left_s + wait_s)
                except (Unavailable, Overloaded) as error:
                    if error.may_have_happened and not repeatable:
                        raise
                    pause_s = max(next(pauses_s), error.retry_after_s or 0.0)
                    if now() + pause_s > min(start + self._retry_s, deadline):
                        raise
                else:
                    if span:
                        span.note_reply(reply)
                    return reply
                sleep(pause_s)
