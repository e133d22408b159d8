"""Prints what was found about the slowest percent, as Markdown, and draws it."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from suite.plot import Group, Row, dots
from tailing.analysis import (
    STAGES,
    OfQ,
    Operation,
    Sample,
    floor_of_syncs,
    operations,
    quantile,
    slowest,
)

#: What operations are called, by their kinds, and how many calls one is.
_KINDS: Final = {"add": ("adds", 1), "lease": ("leases and acks", 2)}
#: Nothing on a logarithmic axis is shorter, in milliseconds.
_SHORTEST_MS: Final = 0.01


def tell(samples: Sequence[Sample], notes: OfQ, bare_s: Sequence[float]) -> None:
    """Print what was found in runs of q as it is.

    Args:
        samples: one for each run.
        notes: what q noted in all of them.
        bare_s: what syncs took that were done beside, without q.
    """
    for kind, every in _by_kind(samples, notes).items():
        _tell_operations(_KINDS[kind][0], every)
    print("\n| thread | runs | waits for a core | times a second |\n|---|---|---|---|")
    seconds = sum(sample.seconds for sample in samples)
    for name in samples[0].names(notes):
        mine = [sample.threads[sample.names(notes)[name]] for sample in samples]
        ran, waited = sum(each.ran_s for each in mine), sum(each.waited_s for each in mine)
        times = sum(each.times for each in mine)
        print(f"| {name} | {ran / seconds:.0%} | {waited / seconds:.0%} | {times / seconds:,.0f} |")
    print("\n| what | times | ms in all | half within | 99 % | the longest |")
    print("|---|---|---|---|---|---|")
    for core in samples[0].probes:
        late = [sample.within(sample.probes[core]["late"]) for sample in samples]
        _tell_times(f"core {core}, not to be had", [each for mine in late for each in mine])
        work = [sample.within_work(core) for sample in samples]
        _tell_times(f"core {core}, a piece of work", [each for mine in work for each in mine])
    for what, spans in notes["spans"].items():
        _tell_times(what, [each for sample in samples for each in sample.within(spans)])
    syncs = [each for sample in samples for each in sample.syncs(notes)]
    _tell_times("sync of a commit", syncs)
    _tell_times("sync of a page, without q", bare_s)
    for title, calls in _KINDS.values() if syncs else ():
        floor = floor_of_syncs(syncs, seconds, calls)
        print(f"\nIf {title} waited for syncs alone: 99 % within {floor * 1e3:.2f} ms.")


def draw(samples: Sequence[Sample], notes: OfQ) -> str:
    """Draw for how long operations are where, as SVG."""
    found = {}
    for kind, every in _by_kind(samples, notes).items():
        few = slowest(every)
        found[_KINDS[kind][0]] = [
            (stage, statistics.fmean(_ms(every, stage)), statistics.fmean(_ms(few, stage)))
            for stage, _ in STAGES
        ]
    return draw_means(found)


def draw_means(found: Mapping[str, Sequence[tuple[str, float, float]]]) -> str:
    """Draw means, as SVG: by kind, for each place the mean of all and of the slowest, in ms."""
    groups = []
    for title, stages in found.items():
        rows = []
        for stage, usual, slow in stages:
            first, last = max(usual, _SHORTEST_MS), max(slow, _SHORTEST_MS)
            rows.append(Row(stage, (first, last, last), f"{slow:.1f} ms", is_ours=True))
        groups.append(Group(title, rows))
    title = "Milliseconds at each place, on average: of all, to a dot for the slowest percent"
    return dots(title, groups)


def _by_kind(samples: Sequence[Sample], notes: OfQ) -> dict[str, list[Operation]]:
    every = [each for sample in samples for each in operations(sample, notes)]
    return {kind: [each for each in every if each.kind == kind] for kind in _KINDS}


def _ms(found: Sequence[Operation], stage: str) -> list[float]:
    return [sum(each.stays[stage].values()) * 1e3 for each in found]


def _tell_operations(title: str, every: Sequence[Operation]) -> None:
    """Print for how long operations were where, and what hindered the slowest of them there."""
    few = slowest(every)
    took = [each.took_s for each in every]
    half, most = quantile(took, 0.5) * 1e3, quantile(took, 0.99) * 1e3
    print(f"\n{len(every):,} {title}: half within {half:.2f} ms, 99 % within {most:.2f} ms.\n")
    whys = list(dict.fromkeys(why for each in few for stay in each.stays.values() for why in stay))
    print(f"| where | all, ms | slowest percent, ms | share | {' | '.join(whys)} |")
    print("|---" * (4 + len(whys)) + "|")
    total = sum(each.took_s for each in few)
    for stage, _ in STAGES:
        slow = statistics.fmean(_ms(few, stage))
        shares = [sum(each.stays[stage].get(why, 0.0) for each in few) / total for why in whys]
        print(
            f"| {stage} | {statistics.fmean(_ms(every, stage)):.2f} | {slow:.2f}"
            f" | {sum(shares):.0%} | {' | '.join(f'{share:.0%}' for share in shares)} |"
        )
    sums = [
        sum(stay.get(why, 0.0) for each in few for stay in each.stays.values()) / total
        for why in whys
    ]
    print(
        f"| all | {statistics.fmean(took) * 1e3:.2f} | {total / len(few) * 1e3:.2f}"
        f" | {sum(sums):.0%} | {' | '.join(f'{share:.0%}' for share in sums)} |"
    )


def _tell_times(what: str, took_s: Sequence[float]) -> None:
    if took_s:
        half, most = quantile(took_s, 0.5) * 1e3, quantile(took_s, 0.99) * 1e3
        print(
            f"| {what} | {len(took_s):,} | {sum(took_s) * 1e3:,.0f} | {half:.3f} | {most:.2f}"
            f" | {max(took_s) * 1e3:.2f} |"
        )
