"""The server: its configuration, and the one place that puts the rooms together."""
