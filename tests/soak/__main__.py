"""Plays random worlds with the whole daemon: `python -m tests.soak --days 100`.

The first seed is printed first, and a violation with its seed: `--seed SEED --worlds 1` plays it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing import get_context
from time import monotonic

from tests.soak.story import Outcome, played
from tests.soak.table import missing, table
from tests.soak.wire import wired_clients

BAR = 24


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
    _say(f"seed {options.seed}")
    play = partial(played, clients=wired_clients) if options.wire else played
    began, tally = monotonic(), Tally()
    for outcome in _outcomes(play, options):
        tally.add(outcome)
        for each in outcome.broken:
            _say(f"\nseed {outcome.seed}: {each}")
        done = _done(tally, options, monotonic() - began)
        if sys.stderr.isatty():
            bar = "#" * int(BAR * done)
            sys.stderr.write(f"\r[{bar:<{BAR}}] {tally.days:,.1f} days")
            sys.stderr.flush()
        if done >= 1:
            break
    if options.table:
        _say(table(tally.pairs))
    unmet = missing(tally.pairs) if options.every_pair else []
    for each in unmet:
        _say(f"not met: {each}")
    _say(tally.line(monotonic() - began))
    return 1 if tally.broken or unmet else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the others follow")
    parser.add_argument("--days", type=float, default=float("inf"), help="simulated days to play")
    parser.add_argument("--worlds", type=int, default=sys.maxsize, help="worlds to play")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to play")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--wire", action="store_true", help="through the AWS client library as well")
    parser.add_argument("--table", action="store_true", help="prints which faults were met in which states")
    parser.add_argument("--every-pair", action="store_true", help="fails if a reachable pair was not met")
    options = parser.parse_args()
    if min(options.days, options.worlds, options.seconds) == float("inf"):
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
