"""The broker: the seam that transports call."""
