"""The client of any q: it knows the wire contract and nothing of the server."""
