"""The benchmark of q beside other queues: see docs/performance.md."""
