"""What makes sense of the notes about the slowest calls."""

import pytest

from tailing.analysis import Times, floor_of_syncs
from tailing.kernel import read

_TRACE = """
# tracer: nop
   <idle>-0    [001] d..2.    10.000000: sched_waking: comm=q pid=7 prio=120 target_cpu=001
   <idle>-0    [001] d..2.    10.000002: sched_switch: prev_comm=swapper/1 prev_pid=0 \
prev_prio=120 prev_state=R ==> next_comm=q next_pid=7 next_prio=120
        q-7    [001] .....    10.000003: sys_fdatasync(fd: 3)
        q-7    [001] d..2.    10.000004: sched_switch: prev_comm=q prev_pid=7 prev_prio=120 \
prev_state=D ==> next_comm=swapper/1 next_pid=0 next_prio=120
        q-7    [001] .....    10.000009: sys_fdatasync -> 0x0
"""


def test_time_is_split_by_spans_that_overlap() -> None:
    """What is in two of them counts once, and what is in none is left."""
    times = Times([(4.0, 6.0), (1.0, 2.0), (5.0, 7.0)])
    assert times.split([(0.0, 3.0), (6.5, 8.0)]) == (1.5, [(0.0, 1.0), (2.0, 3.0), (7.0, 8.0)])


def test_trace_tells_what_a_thread_did() -> None:
    """From being woken it waits for a core, then it runs, until it sleeps."""
    spans = read(_TRACE)
    assert spans[7, "waits"] == [(10.0, 10.000002)]
    assert spans[7, "runs"] == [(10.000002, 10.000004)]
    assert spans[7, "syncs"] == [(10.000003, 10.000009)]


def test_calls_wait_for_their_own_sync_and_for_what_is_left_of_one() -> None:
    """Where the disk is never idle, that is up to one more."""
    assert floor_of_syncs([0.001] * 1_000, 1.0, 1) == pytest.approx(0.002, rel=0.02)
    assert floor_of_syncs([0.001] * 10, 1_000.0, 1) == pytest.approx(0.001)
