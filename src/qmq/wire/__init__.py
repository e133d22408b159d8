"""The wire format: code generated from proto/q.proto, and what turns it into values."""
