"""Settings that hold for every test."""

import os
import signal
from typing import Final

from hypothesis import settings

#: Of each test that Hypothesis draws for: others each time, so that they add up over the runs.
#: A longer search: Q_TEST_EXAMPLES=5000 make test ARGS=tests/model
_EXAMPLES: Final = int(os.environ.get("Q_TEST_EXAMPLES", "40"))

# On a machine that does other work too, one example may take long for no fault of ours.
settings.register_profile("q", deadline=None, max_examples=_EXAMPLES)
settings.load_profile("q")

# A shell starts what runs in the background deaf to Ctrl-C, and so would be every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
