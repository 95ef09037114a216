"""The body of `autoscaler replay`: a log in, the differences as they are found, an exit code back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from rich.console import Console

from autoscaler.core.plain import plain
from policies.model import Decision
from simulations.replay import Different, Replay, Tally, asked, asking
from simulations.replay_log import Bad, found_in

EXIT_SAME, EXIT_DIFFERENT, EXIT_USAGE = 0, 1, 2
BAD_LINES_SHOWN = 50
"""Of a file that is something else altogether every line is bad."""
OPEN_LOOP = (
    "An open loop: each decision is taken on what was observed, and the recorded fleet answered to the "
    "recorded decisions.\nSizes are what policy and guards ask for, before the cautious removal of workers. "
    "`autoscaler compare` plays a trace with the loop closed."
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to tell it."""

    log: str
    policy: str
    """What decided instead of the recorded policy; empty: nothing."""
    show: int = 20
    as_json: bool = False


class _Teller:
    """Tells what is found while it is found, and keeps the first of it: bounded, however long the log."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.out = Console(highlight=False, markup=False, soft_wrap=True)
        self._errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self.shown: list[Different] = []
        self.bad: list[Bad] = []
        self.bad_lines = 0
        self.cut_off = False

    def complain(self, what: str) -> None:
        """A line on standard error."""
        self._errors.print(f"autoscaler: {self.manner.log}: {plain(what)}")

    def broken(self, bad: Bad) -> None:
        """One line a bad line, the first ones."""
        # What the log's end cuts off is no fault: somebody may be writing it.
        self.cut_off |= bad.cut_off
        self.bad_lines += not bad.cut_off
        if len(self.bad) < BAD_LINES_SHOWN:
            self.bad.append(bad)
            self.complain(str(bad))

    def different(self, each: Different) -> None:
        """The first ones are shown."""
        if len(self.shown) >= self.manner.show:
            return
        self.shown.append(each)
        if not self.manner.as_json:
            for line in _lines(each, what_if=bool(self.manner.policy)):
                self.out.print(line)


def run_replay(replay: Replay, stream: BinaryIO, manner: Manner) -> int:
    """Replays and tells.  The exit code: 0 all the same (or a what-if told), 1 differences, 2 bad lines."""
    teller = _Teller(manner)
    for each in replay.over(found_in(stream)):
        if isinstance(each, Bad):
            teller.broken(each)
        else:
            teller.different(each)
    if teller.bad_lines > BAD_LINES_SHOWN:
        teller.complain(f"{teller.bad_lines:,} bad lines in all")
    if (why := _unusable(replay)) is not None:
        teller.complain(why)
        return EXIT_USAGE
    if manner.as_json:
        print(json.dumps(_document(replay, teller), indent=2))  # noqa: T201 - the command's output
    else:
        _tell(replay, teller)
    if not manner.policy and any(each.different for each in replay.targets.values()):
        return EXIT_DIFFERENT
    return EXIT_USAGE if teller.bad_lines else EXIT_SAME


def _unusable(replay: Replay) -> str | None:
    """Why nothing was replayed, if nothing was."""
    tallies = replay.targets.values()
    if any(each.decisions for each in tallies):
        return None
    if any(each.starts for each in tallies):
        return "no decision follows the start record: nothing to replay"
    if any(each.skipped for each in tallies):
        return "no usable start record is before its decisions: give the log from a start of the daemon on"
    return f"there is no decision record{f' of target {plain(replay.only)}' if replay.only else ''} in it"


def _lines(each: Different, *, what_if: bool) -> Iterator[str]:
    where = f"{_moment(each.at)}  {plain(each.target)} (line {each.line})"
    if what_if:
        before, after = asked(each.recorded), asked(each.now)
        yield f"{where}: {before} {asking(each.recorded).reason} -> {after} {asking(each.now).reason}"
    else:
        yield f"{where}: recorded {_written(each.recorded)}, now {_written(each.now)}"
        yield f"  {plain(each.where)}"


def _written(decision: Decision) -> str:
    return "no write" if decision.desired is None else f"desired {decision.desired}"


def _tell(replay: Replay, teller: _Teller) -> None:
    manner, out, targets = teller.manner, teller.out, replay.targets
    total = _sum(targets)
    what = f"{total['decisions']:,} decisions"
    if len(targets) > 1:
        what += f" of {len(targets)} targets"
    if not manner.policy:
        same = "all the same" if not total["different"] else f"{total['different']:,} are different now"
        out.print(f"{manner.log}: {what}, {same}")
        if len(targets) > 1 and total["different"]:
            for name, each in targets.items():
                out.print(f"  {plain(name)}: {each.different:,} of {each.decisions:,} different")
    else:
        out.print(f"{manner.log}: {what}; another size asked for in {total['different']:,} of them")
        for name, each in targets.items():
            out.print(f"  {plain(name)}: {_hours(each)}")
        out.print(OPEN_LOOP)
    if total["skipped"]:
        out.print(
            f"  {total['skipped']:,} decisions before a start record or behind a broken line: not replayed"
        )
    if total["different"] > manner.show > 0:
        out.print(f"  shown are the first {manner.show}; --show tells how many")


def _hours(each: Tally) -> str:
    recorded, now = each.recorded_worker_hours, each.now_worker_hours
    change = f" ({now / recorded - 1:+.1%})" if recorded else ""
    return (
        f"{recorded:,.1f} worker-hours asked for as recorded, {now:,.1f} with it{change}; "
        f"at most {each.recorded_peak} workers, {each.now_peak} with it"
    )


def _document(replay: Replay, teller: _Teller) -> dict[str, Any]:
    manner = teller.manner
    return {
        "log": manner.log,
        "policy": manner.policy or None,
        "open_loop": bool(manner.policy),
        **_sum(replay.targets),
        "bad_lines": teller.bad_lines,
        "cut_off": teller.cut_off,
        "other_lines": replay.other_lines,
        "targets": {name: asdict(each) for name, each in replay.targets.items()},
        "differences": [_difference(each) for each in teller.shown],
        "complaints": [{"line": each.line, "why": each.why} for each in teller.bad],
    }


def _difference(each: Different) -> dict[str, Any]:
    return {
        "line": each.line,
        "at": each.at,
        "target": each.target,
        "where": each.where,
        "recorded": _brief(each.recorded),
        "now": _brief(each.now),
    }


def _brief(decision: Decision) -> dict[str, Any]:
    stage = asking(decision)
    return {"desired": decision.desired, "asked": asked(decision), "reason": stage.reason.value}


def _sum(targets: dict[str, Tally]) -> dict[str, int]:
    return {
        name: sum(getattr(each, name) for each in targets.values())
        for name in ("decisions", "different", "skipped")
    }


def _moment(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"at {at:g}"
