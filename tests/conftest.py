"""Settings that hold for every test."""

import os
import signal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

#: Of each test that Hypothesis draws for: others each time, so that they add up over the runs.
#: A longer search: Q_TEST_EXAMPLES=5000 make test ARGS=tests/model
_EXAMPLES: Final = int(os.environ.get("Q_TEST_EXAMPLES", "40"))

# On a machine that does other work too, one example may take long for no fault of ours.
settings.register_profile("q", deadline=None, max_examples=_EXAMPLES)
settings.load_profile("q")

#: Modules of which a test may take half a minute.
_LONG: Final = frozenset(
    {
        *("acceptance/test_crash.py", "acceptance/test_overload.py", "acceptance/test_readme.py"),
        *("acceptance/test_soak.py", "soak/test_backlog.py", "soak/test_simulate.py"),
        "store/test_histories.py",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: begun last, it would be waited for by idle processes."""
    here = Path(__file__).parent
    items.sort(key=lambda item: str(item.path.relative_to(here)) not in _LONG)


# A shell starts what runs in the background deaf to Ctrl-C, and so would be every program
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
