"""What the load generators speak: each protocol by hand, as bytes, so that servers are measured."""
