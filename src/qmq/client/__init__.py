"""The client of any q: it knows the wire contract and nothing of the server.

Everything is written once, in `_async`; `scripts/unasync.py` makes `_sync` of it. What
asyncio and threads do differently is in `on_asyncio` and `on_threads`, which offer the
same names. Users import from `qmq`.
"""
