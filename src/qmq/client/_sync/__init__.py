# Generated from _async by scripts/unasync.py; change it there.
"""The synchronous client."""
