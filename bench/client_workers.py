"""What runs in the processes of bench/client.py: one function each to produce and to consume.

    python client_workers.py WORKER URL QUEUE MESSAGES produce|consume

Payloads are 64 bytes that begin with their number, so that the consumer can tell
whether each arrived, in order.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_SIZE = 64
_PIPELINE = 100


def payloads(count: int) -> Iterator[bytes]:
    """Make so many payloads."""
    rest = b"x" * (_SIZE - 8)
    for number in range(count):
        yield b"%08d%b" % (number, rest)


class Check:
    """Looks at what arrives, and reports."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.count = 0
        self.in_order = True

    def ready(self) -> None:
        """Tell the benchmark that messages may come."""
        print("ready", flush=True)

    def take(self, payload: bytes) -> bool:
        """Look at a message; return whether it was the last."""
        if int(payload[:8]) != self.count:
            self.in_order = False
        self.count += 1
        return self.count == self.expected

    def report(self) -> None:
        """Tell the benchmark how it went."""
        found = {"messages": self.count, "in_order": self.in_order, "end": time.time()}
        print(json.dumps(found), flush=True)


def q_batched_produce(url: str, queue: str, count: int) -> None:
    """Through the asyncio client's producer."""
    from qmq import AsyncClient  # noqa: PLC0415 - A process needs one client.

    async def produce() -> None:
        async with AsyncClient(url) as client, client.queue(queue).producer() as producer:
            for payload in payloads(count):
                await producer.submit(payload)

    asyncio.run(produce())


def q_batched_consume(url: str, queue: str, check: Check) -> None:
    """Through the asyncio client's `popping`."""
    from qmq import AsyncClient  # noqa: PLC0415

    async def consume() -> None:
        async with AsyncClient(url) as client:
            durable = await client.ensure_queue(queue, store="DISK")
            async with durable.popping(prefetch=1_000) as messages:
                check.ready()
                async for message in messages:
                    if check.take(message.payload):
                        break

    asyncio.run(consume())


def q_threads_produce(url: str, queue: str, count: int) -> None:
    """Through the threads' client's producer."""
    from qmq import Client  # noqa: PLC0415

    with Client(url) as client, client.queue(queue).producer() as producer:
        for payload in payloads(count):
            producer.submit(payload)


def q_threads_consume(url: str, queue: str, check: Check) -> None:
    """Through the threads' client's `popping`."""
    from qmq import Client  # noqa: PLC0415

    with Client(url) as client:
        durable = client.ensure_queue(queue, store="DISK")
        with durable.popping(prefetch=1_000) as messages:
            check.ready()
            for message in messages:
                if check.take(message.payload):
                    break


def q_unary_produce(url: str, queue: str, count: int) -> None:
    """One Add after the other."""
    from qmq import Client  # noqa: PLC0415

    with Client(url) as client:
        target = client.queue(queue)
        for payload in payloads(count):
            target.add(payload)


def q_unary_consume(url: str, queue: str, check: Check) -> None:
    """One Pop after the other."""
    from qmq import Client  # noqa: PLC0415

    with Client(url) as client:
        source = client.ensure_queue(queue, store="DISK")
        check.ready()
        while not check.take(source.pop(wait=None).payload):
            pass


def _redis(url: str) -> Any:  # noqa: ANN401 - It comes without types.
    import redis  # noqa: PLC0415

    host, port = url.rsplit(":", 1)
    return redis.Redis(host, int(port))


def redis_single_produce(url: str, queue: str, count: int) -> None:
    """One RPUSH after the other."""
    client = _redis(url)
    for payload in payloads(count):
        client.rpush(queue, payload)


def redis_single_consume(url: str, queue: str, check: Check) -> None:
    """One BLPOP after the other."""
    client = _redis(url)
    check.ready()
    while not check.take(client.blpop(queue)[1]):
        pass


def redis_pipelined_produce(url: str, queue: str, count: int) -> None:
    """A hundred RPUSH at a time."""
    pipeline = _redis(url).pipeline(transaction=False)
    for number, payload in enumerate(payloads(count), 1):
        pipeline.rpush(queue, payload)
        if number % _PIPELINE == 0:
            pipeline.execute()
    pipeline.execute()


def redis_pipelined_consume(url: str, queue: str, check: Check) -> None:
    """BLPOP while the list is empty, and a hundred LPOP at a time while it is not."""
    client = _redis(url)
    pipeline = client.pipeline(transaction=False)
    check.ready()
    while True:
        if check.take(client.blpop(queue)[1]):
            return
        for _ in range(min(_PIPELINE, check.expected - check.count)):
            pipeline.lpop(queue)
        for payload in pipeline.execute():
            if payload is not None and check.take(payload):
                return


def beanstalk_produce(url: str, queue: str, count: int) -> None:
    """One put after the other."""
    client = _greenstalk(url, queue)
    for payload in payloads(count):
        client.put(payload)


def beanstalk_consume(url: str, queue: str, check: Check) -> None:
    """One reserve and delete after the other."""
    client = _greenstalk(url, queue)
    check.ready()
    while True:
        job = client.reserve()
        client.delete(job)
        if check.take(job.body):
            return


def _greenstalk(url: str, queue: str) -> Any:  # noqa: ANN401 - It comes without types.
    import greenstalk  # noqa: PLC0415

    host, port = url.rsplit(":", 1)
    return greenstalk.Client((host, int(port)), encoding=None, use=queue, watch=queue)


def main(worker: str, url: str, queue: str, count: str, side: str) -> None:
    """Produce or consume."""
    run: Callable[..., None] = globals()[f"{worker}_{side}"]
    address = url.removeprefix("http://")
    if side == "produce":
        run(address, queue, int(count))
        return
    check = Check(int(count))
    run(address, queue, check)
    check.report()


if __name__ == "__main__":
    main(*sys.argv[1:])
