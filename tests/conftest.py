"""Settings that hold for every test."""

import signal

from hypothesis import settings

# On a machine that does other work too, one example may take long for no fault of ours.
settings.register_profile("q", deadline=None)
settings.load_profile("q")

# A shell starts what runs in the background deaf to Ctrl-C, and so would be every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
