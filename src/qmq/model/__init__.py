"""The rules of queues: pure and synchronous, without I/O, clock or randomness.

A rule takes a state and arguments, and either changes the state and says what it
changed, or raises an error of the family and changes nothing.
"""
