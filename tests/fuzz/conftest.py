"""A q for whatever may be sent to it, and how much of that is."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.acceptance.running import RunningQ

#: Examples of each test; a longer search: FUZZ_EXAMPLES=20000 make test ARGS=tests/fuzz
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))

settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(scope="session")
def fuzzed_q(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningQ]:
    """One q for all tests here; it must be there to the end, and have nothing to complain of."""
    q = RunningQ(tmp_path_factory.mktemp("fuzzed_q"))
    q.start("--transfer-timeout=2")
    yield q
    q.stop()
    for line in q.log.splitlines():
        assert '"error"' not in line.partition('"msg"')[0], line
        assert "Traceback" not in line, line
