"""Metrics of the disk."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from qmq.descriptions import QueueInfo
from qmq.model.queue import Queue
from qmq.observe.disk import DiskCollector
from qmq.observe.metrics import render
from qmq.store.local.disk import DiskStore
from qmq.values import Store


def shown(store: DiskStore, directory: Path) -> dict[str, float]:
    """Return the lines of a scrape that are no comments."""
    registry = CollectorRegistry()
    registry.register(DiskCollector(store.figures, directory))
    lines = [line for line in render(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_commits_are_counted_by_how_long_they_took(tmp_path: Path) -> None:
    """With what they have written to the log, and what they have left behind in the database."""
    store = DiskStore.open(tmp_path)
    try:
        queue = Queue(1, QueueInfo(id="1", created_ns=1, store=Store.DISK))
        await store.new_queue(queue)
        before = shown(store, tmp_path)
        await store.add(queue, b"envelope", 1)
        await store.pop(queue)
        after = shown(store, tmp_path)
    finally:
        await store.close()

    commits = 'q_disk_commit_seconds_bucket{le="+Inf"}'
    assert after[commits] - before[commits] == 2
    assert after["q_disk_commit_seconds_count"] == after[commits]
    assert after["q_disk_commit_seconds_sum"] > before["q_disk_commit_seconds_sum"]
    assert after["q_disk_bytes"] >= after["q_disk_log_bytes"]
    assert after["q_disk_free_bytes"] > 0
    assert after["q_disk_pending_bytes"] == 0
    assert after["q_disk_log_bytes"] >= before["q_disk_log_bytes"] + 2 * 4096
    assert after["q_disk_messages_to_remove"] == 1
    assert after["q_disk_messages_damaged_total"] == 0
    assert after["q_disk_checkpoints_total"] == 0
    assert after["q_disk_checkpoint_stop_seconds_total"] == 0
