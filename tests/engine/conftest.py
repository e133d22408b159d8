"""What the tests of the engine share."""

import pytest

from qmq.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return the time, which stands still until the test lets it pass."""
    return ManualClock()
