"""What q shows of itself: metrics and logs, from outside, so that rules stay silent."""
