"""Queues as people have them, with something the matter with some of them, and load on others."""

import base64
import json
import random
import threading
from collections import deque
from typing import Any, Final

from tests.acceptance.rest import rest

#: Seconds from one piece of work to the next.
_PACE_S: Final = 0.05

#: How many pieces are in hand at a time.
_IN_HAND: Final = 6

#: What is markup, or breaks out of it, wherever it is not taken for text.
HOSTILE: Final = (
    "<img src=x onerror=\"document.title='broken'\"></script><script>alert(1)</script>'\"`${7*7}"
)

_FAILURES: Final = (
    "SMTPRecipientsRefused: 550 no such user",
    "TimeoutError: mx1.example.org did not answer within 30 s",
    "ValueError: order 7731 has no address",
    "no route to mx.example.net",
)


def encoded(payload: object) -> str:
    """A payload in base64; one that is no text or bytes is sent as JSON."""
    if isinstance(payload, str):
        payload = payload.encode()
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return base64.b64encode(data).decode()


class Scene:
    """A q full of life, by its REST API."""

    def __init__(self, address: str, *, seed: int = 7) -> None:
        """Nothing is made before `make`; with one seed the same is made."""
        self.address = address
        #: The ids of the queues, by their names.
        self.ids: dict[str, str] = {}
        self._random = random.Random(seed)
        self._enough = threading.Event()
        self._load: threading.Thread | None = None

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call q, which must not refuse."""
        reply = rest(self.address, method, path, body)
        assert reply.status == 200, reply
        return reply.json

    def queue(self, name: str, *, tags: str = "", limit: int = -1, **settings: object) -> str:
        """Make a DISK queue with tags as "team=mail env=prod"."""
        pairs = [dict(zip(("key", "value"), each.split("="), strict=True)) for each in tags.split()]
        body = {"store": "DISK", "name": name, "tags": pairs, "limit": str(limit)}
        made = self.call("POST", "/v1/queues", {**body, "settings": settings})
        self.ids[name] = made["queue"]["meta"]["id"]
        return self.ids[name]

    def add(self, queue: str, *payloads: object, tags: str = "", **options: object) -> list[str]:
        """Add messages, and return their ids."""
        pairs = [dict(zip(("key", "value"), each.split("="), strict=True)) for each in tags.split()]
        messages = [
            {"payload": encoded(each), "tags": pairs, "options": options} for each in payloads
        ]
        path = f"/v1/queues/{queue}/messages:batch"
        return [each["id"] for each in self.call("POST", path, {"messages": messages})["messages"]]

    def lease(self, queue: str, count: int, consumer: str, duration: str = "60s") -> list[str]:
        """Lease messages, and return the ids of the leases."""
        body = {"messages_max": count, "consumer": consumer, "lease_duration": duration}
        found = self.call("POST", f"/v1/queues/{queue}/messages:lease", body)
        return [each["lease_id"] for each in found.get("messages", [])]

    def end(self, queue: str, leases: list[str], verb: str = "ack", **body: object) -> None:
        """Ack or nack."""
        if leases:
            path = f"/v1/queues/{queue}/leases:{verb}"
            self.call("POST", path, {"lease_ids": leases, **body})

    def make(self) -> None:
        """Make the queues, and what is in them."""
        self._make_mail()
        self._make_others()

    def _make_mail(self) -> None:
        """Mail that is worked on, with letters that failed for several reasons."""
        self.queue("mail.dead", tags="team=mail")
        self.queue(
            "mail",
            tags="team=mail env=prod",
            dead_letter_queue_id="mail.dead",
            delivery_count_max=2,
            back_off={"base": "0s"},
        )
        for number, reason in enumerate(_FAILURES * 6):
            self.add("mail", {"to": f"user{number}@example.org", "template": "welcome"})
            kind = "REJECT" if reason.startswith(("SMTP", "Value")) else "FAIL"
            for _ in range(1 if kind == "REJECT" else 2):
                leases = self.lease("mail", 1, f"mailer-{number % 3}")
                self.end("mail", leases, "nack", kind=kind, reason=reason)
        for number in range(40):
            self.add("mail", {"to": f"reader{number}@example.org", "template": "digest"})
        self.lease("mail", 6, "mailer-1", "3600s")
        self.lease("mail", 3, "mailer-2", "3600s")

    def _make_others(self) -> None:
        """Queues that go well, and some that need somebody."""
        self.queue("orders", tags="team=shop env=prod", leased_max=50)
        self.add("orders", *({"order": 7700 + n, "total": f"{n * 3}.90 EUR"} for n in range(120)))
        self.queue("thumbnails", tags="team=media env=prod")
        self.add("thumbnails", *(f"s3://pictures/{n:05}.jpg" for n in range(340)))
        self.queue("billing.invoices", tags="team=billing env=prod")
        self.add("billing.invoices", *({"invoice": 2026000 + n} for n in range(12)))
        self.call("POST", "/v1/queues/billing.invoices/pause", {})
        self.queue("billing.export", tags="team=billing env=stage", limit=20)
        self.add("billing.export", *(f"row;{n};EUR" for n in range(20)))
        self.queue("crawler", tags="team=search", park_after=1, back_off={"base": "0s"})
        for host in ("a.example", "b.example", "c.example"):
            pages = [f"https://{host}/{page}" for page in range(4)]
            self.add("crawler", *pages, group_id=host, fair_key=host[0])
        leases = self.lease("crawler", 1, "spider-1")
        self.end("crawler", leases, "nack", kind="FAIL", reason="ConnectionError: reset by peer")
        self.queue("reminders", tags="team=mail")
        self.add("reminders", "renew your passport", delay="7200s")
        self.add("reminders", "water the plants", delay="600s", priority=5)
        self.call(
            "PUT",
            "/v1/queues/reminders/schedules/weekly-digest",
            {"cron": "0 7 * * 1", "time_zone": "Europe/Berlin", "message": {"payload": "e30="}},
        )
        self.call("PUT", "/v1/queues/orders/schedules/reconcile", {"interval": "3600s"})
        self.queue("blobs")
        self.add("blobs", bytes(range(256)) * 3, "plain text, several\nlines of it\n")
        self.queue("hostile", tags="k=v")
        self.call("POST", "/v1/queues/hostile/tag", {"key": HOSTILE, "value": HOSTILE})
        self.add("hostile", HOSTILE, {"html": HOSTILE}, group_id="<b>group</b>")
        self.lease("hostile", 1, HOSTILE[:60], "3600s")

    def start(self) -> None:
        """Begin to add and work, a little each time, until `stop`."""
        self._load = threading.Thread(target=self._work, daemon=True)
        self._load.start()

    def stop(self) -> None:
        """End what `start` began."""
        self._enough.set()
        if self._load:
            self._load.join()

    def _work(self) -> None:
        """Add and work; a message is in hand for some time before it is acked."""
        held: deque[list[str]] = deque()
        number = 0
        while not self._enough.wait(_PACE_S):
            number += 1
            count = self._random.randint(1, 4)
            self.add("orders", *({"order": 9000 + number, "total": "19.90 EUR"},) * count)
            count = self._random.randint(1, 4)
            held.append(self.lease("orders", count, f"shop-{number % 4}"))
            if len(held) > _IN_HAND:
                self.end("orders", held.popleft())
            if number % 3 == 0:
                self.add("thumbnails", f"s3://pictures/{number:05}.jpg")
                self.end("thumbnails", self.lease("thumbnails", 3, "resizer"))
