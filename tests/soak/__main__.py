"""Plays random worlds with the whole daemon: `python -m tests.soak --days 100`.

The first seed is printed first, and a violation with its seed: `--seed SEED --worlds 1` plays it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from cProfile import Profile
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing import get_context
from pstats import Stats
from time import monotonic

from tests.soak.planted import BUGS, hunted
from tests.soak.story import Outcome, played
from tests.soak.table import lacking, table, unmet
from tests.soak.wire import wired_clients

BAR = 24
PARTS = (
    "tests/soak", "autoscaler/demo", "autoscaler/fleets", "autoscaler/core", "autoscaler/sources", "policies",
    "simulations", "autoscaler", "trio", "anyio", "prometheus_client", "structlog", "json",
)  # fmt: skip
"""Where time may go, the narrower first."""
TELL_DAYS = 20
"""How often a long run says how far it has come."""


@dataclass
class Tally:
    """What all worlds together came to."""

    worlds: int = 0
    days: float = 0.0
    cpu_seconds: float = 0.0
    tasks: int = 0
    lines: int = 0
    calls: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One world more."""
        self.worlds += 1
        self.days += outcome.days
        self.cpu_seconds += outcome.cpu_seconds
        self.tasks += outcome.tasks
        self.lines += outcome.lines
        self.calls += outcome.calls
        self.pairs.update(outcome.pairs)
        self.broken += [f"seed {outcome.seed}: {each}" for each in outcome.broken]

    def line(self, seconds: float) -> str:
        """All of it in one line."""
        return (
            f"{self.days:,.1f} simulated days in {self.worlds:,} worlds, {self.tasks:,} tasks, "
            f"{self.calls:,} calls of ECS, {len(self.pairs)} pairs met, {len(self.broken)} violations; "
            f"{self.days / seconds:.2f} days/s, {self.cpu_seconds / 2.88 / self.days:.2f} ms of CPU a tick"
        )


def main() -> int:
    """0: all went well."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets have an order too
        os.execve(sys.executable, [sys.executable, "-m", "tests.soak", *sys.argv[1:]],
                  os.environ | {"PYTHONHASHSEED": "0"})  # fmt: skip
    if options.where:
        return _profile(options.seed)
    if options.bugs:
        return _hunt(options.processes)
    return _soak(options)


def _soak(options: argparse.Namespace) -> int:
    _say(f"seed {options.seed}")
    play = partial(played, clients=wired_clients) if options.wire else played
    began, tally = monotonic(), Tally()
    for outcome in _outcomes(play, options):
        tally.add(outcome)
        for each in outcome.broken:
            _say(f"\nseed {outcome.seed}: {each}")
        done = _done(tally, options, monotonic() - began)
        if tally.days // TELL_DAYS > (tally.days - outcome.days) // TELL_DAYS:
            _say((table(tally.pairs) + "\n" if options.table else "") + tally.line(monotonic() - began))
        if sys.stderr.isatty():
            bar = "#" * int(BAR * done)
            sys.stderr.write(f"\r[{bar:<{BAR}}] {tally.days:,.1f} days")
            sys.stderr.flush()
        if done >= 1:
            break
    if options.table:
        _say(table(tally.pairs))
        _say("not met: " + ", ".join(unmet(tally.pairs)))
    lacks = lacking(tally.pairs, options.pairs) if options.pairs else []
    for each in lacks:
        _say(each)
    _say(tally.line(monotonic() - began))
    return 1 if tally.broken or lacks else 0


def _profile(seed: int) -> int:
    """One world's time, by the part that takes it."""
    profile, shares = Profile(), Counter[str]()
    profile.runcall(played, seed)
    for (file, _, _), (_, _, seconds, _, _) in Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = next((part for part in PARTS if f"/{part}/" in file), "the rest")
        shares[place] += seconds
    for place, seconds in shares.most_common():
        _say(f"{place:<24}{seconds / shares.total():>6.0%}")
    return 0


def _hunt(processes: int) -> int:
    """0: every planted bug is caught."""
    with get_context("spawn").Pool(processes) as pool:
        found = dict(pool.imap_unordered(hunted, BUGS))
    for name, how in found.items():
        _say(f"{name}: {how or 'NOT CAUGHT'}")
    caught = sum(map(bool, found.values()))
    _say(f"{caught} of {len(BUGS)} planted bugs caught")
    return int(caught < len(BUGS))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the others follow")
    parser.add_argument("--days", type=float, default=float("inf"), help="simulated days to play")
    parser.add_argument("--worlds", type=float, default=float("inf"), help="worlds to play")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to play")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--bugs", action="store_true", help="plays daemons with a bug each instead")
    parser.add_argument("--where", action="store_true", help="says where the time of the first world goes")
    parser.add_argument("--wire", action="store_true", help="through the AWS client library as well")
    parser.add_argument("--table", action="store_true", help="prints which faults were met in which states")
    parser.add_argument("--pairs", type=int, default=0, help="fails if fewer were met, or a fault never")
    options = parser.parse_args()
    ends = (options.days, options.worlds, options.seconds)
    if not (options.bugs or options.where) and min(ends) == float("inf"):
        parser.error("say how long: --days, --worlds or --seconds")
    return options


def _done(tally: Tally, options: argparse.Namespace, seconds: float) -> float:
    return max(tally.days / options.days, tally.worlds / options.worlds, seconds / options.seconds)


def _outcomes(play: Callable[[int], Outcome], options: argparse.Namespace) -> Iterator[Outcome]:
    """In the order of their seeds, so that the same seeds are played however fast the machine is."""
    seeds = count(options.seed)
    if options.processes < 2 or options.worlds == 1:
        yield from map(play, seeds)
        return
    with get_context("spawn").Pool(options.processes) as pool:
        waiting = [pool.apply_async(play, (next(seeds),)) for _ in range(4 * options.processes)]
        while True:
            yield waiting.pop(0).get()
            waiting.append(pool.apply_async(play, (next(seeds),)))


if __name__ == "__main__":
    sys.exit(main())
