"""How fast the simulator is, beside its goals, its peers and the near limit.  One command, all figures.

The model: first in, first out; one slot a task, five slots a worker, the lowest worker first; a mean of
200 busy slots; ticks of 30 s; launches around 59 s.  Our run with the whole controller (`mwaa`, when idle)
makes the fleet's timetable; everybody else is given it.  Every figure is from loaded arrays to start times,
the best of five, each row in a process of its own; peak memory is that process's.  Seconds are those of the
processor, so that what else runs on the machine matters less; for the command and the file, the clock's.

    python benchmarks/throughput.py [--quick] [--plot docs/cost-curve.png]

Exits 1 where start times differ.  A goal that is missed is only told: machines differ.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import throughput_peers as peers
import throughput_traces as ours
from throughput_report import Curve, Figures, fitted, print_goals, print_size, print_ticks, save_plot

from policies.mwaa import ScaleIn
from simulations.airflow import AIRFLOW_3
from simulations.trace import Trace

BEST_OF = 5
HERE = Path(__file__)
SMALL_TRACE = 5_000
TICK_COUNTS = (3_000, 30_000, 300_000)
TICKS_TASKS = 100_000


@dataclass(frozen=True)
class Row:
    """One line of the tables."""

    name: str
    run: Callable[..., Any]
    trace: Callable[[int], Trace] = ours.plain
    group: str = "the fleet's timetable"
    """Rows of one group have the same start times; empty: a group of its own."""
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    best_of: int = BEST_OF
    needs: str = ""
    """A module without which it is left out."""


passing = partial(ours.whole, every_tick=False)
following = partial(ours.whole, scale_in=ScaleIn.CONTINUOUS)
EVERY_SIZE, TO_A_MILLION = Row("", print).sizes, Row("", print).sizes[:3]
ROWS = {
    "whole": Row("ours, whole controller", ours.whole),
    "passing": Row("  quiet ticks passed over", passing),
    "kernel": Row("ours, kernel alone", ours.kernel),
    "resting": Row("  quiet ticks passed over", partial(ours.kernel, every_tick=False)),
    "cpp": Row("C++ -O3, winner tree", peers.by_cpp),
    "heapq": Row("plain heapq", peers.by_heapq, best_of=1),
    "simpy": Row("SimPy, a process a task", peers.by_simpy, sizes=TO_A_MILLION, best_of=1, needs="simpy"),
    "always": Row("ours, a fleet that stays", ours.always, group="a fleet that stays", sizes=(10_000,)),
    "ciw": Row("Ciw, the same", peers.by_ciw, group="a fleet that stays", sizes=(10_000,), needs="ciw"),
    "following": Row("ours, continuous scale-in", following, group="", sizes=TO_A_MILLION),
    "airflow": Row("ours, Airflow 3.3", partial(ours.whole, airflow=AIRFLOW_3), group="", sizes=TO_A_MILLION),
    "dag": Row("ours, DAG runs", ours.whole, ours.dag, group="", sizes=TO_A_MILLION),
    "month": Row(
        "ours, 30 days at 10 s, a fifth",
        partial(ours.whole, tick=10.0),
        ours.month,
        group="a month",
        sizes=(1_000_000,),
        best_of=2,
    ),
    "month-passing": Row(
        "  quiet ticks passed over",
        partial(passing, tick=10.0),
        ours.month,
        group="a month",
        sizes=(1_000_000,),
    ),
}


def fingerprint(starts: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(starts).tobytes()).hexdigest()[:12]


def best(run: Callable[[], Any], times: int) -> tuple[float, Any]:
    """(seconds of the fastest, its result); what was compiled and loaded before is not looked through."""
    gc.collect()
    gc.freeze()
    fastest, result = float("inf"), None
    for _ in range(times):
        before = process_time()
        result = run()
        fastest = min(fastest, process_time() - before)
    return fastest, result


def measure(what: str, tasks: int, place: Path) -> dict[str, Any]:
    """One row, in this process."""
    row, scratch = ROWS[what], place / "warm-up"
    scratch.mkdir(exist_ok=True)
    trace = row.trace(tasks)
    # Whoever makes a timetable of its own must not replace the one that is compared.
    mine = place if row.group == "the fleet's timetable" else place / row.group.replace(" ", "-")
    mine.mkdir(exist_ok=True)
    if what == "cpp":
        runs = [peers.by_cpp(trace, place) for _ in range(row.best_of)]
        seconds, kib, starts = min(runs, key=lambda run: run[0])
        return {"seconds": seconds, "peak_mib": kib / 1024, "ticks": 0, "starts": fingerprint(starts)}
    if row.run not in {peers.by_heapq, peers.by_simpy, peers.by_ciw}:
        small = row.trace(1000)
        ours.whole(small, scratch)  # compiled code is loaded, not timed
        row.run(small, scratch)
    times = min(row.best_of, 2) if tasks > 1_000_000 else row.best_of
    seconds, (starts, ticks) = best(lambda: row.run(trace, mine), times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak, "ticks": ticks, "starts": fingerprint(starts)}


def measure_ticks(_: str, ticks: int, place: Path) -> dict[str, Any]:
    """The same load, looked at so often: seconds with every tick taken, and with quiet ones passed over."""
    trace = ours.plain(TICKS_TASKS)
    tick = float(trace.queued_at[-1]) / ticks
    ours.whole(ours.plain(1000), place)
    passing(ours.plain(1000), place)
    taken, (_, count) = best(lambda: ours.whole(trace, place, tick=tick), 2)
    passed, _ = best(lambda: passing(trace, place, tick=tick), 2)
    return {"ticks": count, "taken": taken, "passed": passed}


def measure_file(_: str, tasks: int, place: Path) -> dict[str, Any]:
    """From a Parquet file to the figures, as `autoscaler simulate` goes; by step."""
    began = perf_counter()
    from simulations.price import parse  # noqa: PLC0415
    from simulations.run import simulate  # noqa: PLC0415
    from simulations.score import score  # noqa: PLC0415
    from simulations.service import ServiceModel  # noqa: PLC0415
    from simulations.trace_file import read_trace  # noqa: PLC0415

    passing(ours.plain(1000), place)
    marks = [began, perf_counter()]
    trace = read_trace(place / f"{tasks}.parquet")
    marks.append(perf_counter())
    result = simulate(trace, ours.controller(), ServiceModel(ours.SLOTS), ours.SEED)
    marks.append(perf_counter())
    score(result, parse("x86:2:4"))
    marks.append(perf_counter())
    steps = dict(zip(("start", "read", "run", "score"), np.diff(marks).tolist(), strict=True))
    return {"steps": steps, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def make_file(_: str, tasks: int, place: Path) -> dict[str, Any]:
    ours.plain_file(tasks, place / f"{tasks}.parquet")
    return {}


TASKS: dict[str, Callable[[str, int, Path], dict[str, Any]]] = {
    **dict.fromkeys(ROWS, measure),
    "ticks": measure_ticks,
    "file": measure_file,
    "make-file": make_file,
}


def in_own_process(what: str, number: int, place: Path) -> dict[str, Any]:
    command = [sys.executable, str(HERE), "--one", what, str(number), str(place)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return found


def warm_command(place: Path) -> list[float]:
    """Seconds of `autoscaler simulate` on a small trace, as a person waits for it; fastest first."""
    make_file("", SMALL_TRACE, place)
    trace = str(place / f"{SMALL_TRACE}.parquet")
    command = [
        sys.executable,
        "-m",
        "autoscaler",
        "simulate",
        trace,
        "--seed",
        "1",
        "--slots",
        "5",
        "--max",
        "100",
    ]
    seconds = []
    for _ in range(8):
        before = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(perf_counter() - before)
    return sorted(seconds[1:])


def built(directory: Path) -> bool:
    """Whether the C++ program could be built."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return False
    target, source = directory / "near_limit", HERE.with_suffix(".cpp")
    subprocess.run([compiler, "-O3", "-march=native", "-std=c++17", "-o", target, source], check=True)
    return True


def compare(tasks: int, names: list[str], directory: Path) -> Figures:
    """One size, measured and printed."""
    place = directory / str(tasks)
    place.mkdir()
    found = {name: in_own_process(name, tasks, place) for name in names}
    print_size(tasks, {name: (ROWS[name].name, ROWS[name].group, found[name]) for name in names})
    return found


def differing(found: Figures) -> list[str]:
    """Groups whose start times are not the same."""
    starts: dict[str, set[str]] = {}
    for name, each in found.items():
        starts.setdefault(ROWS[name].group or name, set()).add(each["starts"])
    return [group for group, different in starts.items() if len(different) > 1]


@dataclass
class Findings:
    """All that was measured."""

    sizes: dict[int, Figures] = field(default_factory=dict)
    ticks: list[dict[str, float]] = field(default_factory=list)
    file: dict[str, Any] = field(default_factory=dict)
    start: list[float] = field(default_factory=list)

    def curve(self, name: str) -> Curve:
        """(tasks, seconds)."""
        return [(size, each[name]["seconds"]) for size, each in self.sizes.items() if name in each]


def measured(*, quick: bool, directory: Path) -> Findings:
    findings, with_cpp = Findings(), built(directory)
    print(f"seed {ours.SEED}")
    for tasks in EVERY_SIZE[:1] if quick else EVERY_SIZE:
        names = [
            name
            for name, row in ROWS.items()
            if tasks in row.sizes and (with_cpp or name != "cpp") and (not row.needs or find_spec(row.needs))
        ]
        findings.sizes[tasks] = compare(tasks, names, directory)
    findings.start = warm_command(directory)
    if not quick:
        findings.ticks = [in_own_process("ticks", count, directory) for count in TICK_COUNTS]
        print_ticks(TICKS_TASKS, findings.ticks)
        in_own_process("make-file", EVERY_SIZE[-1], directory)
        findings.file = in_own_process("file", EVERY_SIZE[-1], directory)
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only the smallest size, and the start")
    parser.add_argument("--plot", type=Path, help="where a picture of time against tasks and ticks goes")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, number, place = options.one
        print(json.dumps(TASKS[what](what, int(number), Path(place))))
        return 0
    with tempfile.TemporaryDirectory() as name:
        findings = measured(quick=options.quick, directory=Path(name))
    print_goals(findings.sizes.get(1_000_000, {}), findings.file, findings.start)
    curves = {ROWS[name].name: findings.curve(name) for name in ("whole", "kernel", "cpp", "heapq", "simpy")}
    if not options.quick:
        growth = fitted([point for point in findings.curve("whole") if point[0] >= 100_000])
        ticks = fitted([(each["ticks"], each["taken"]) for each in findings.ticks[1:]])
        print(f"\ntime grows with tasks to the power of {growth:.2f}, with ticks to the power of {ticks:.2f}")
    if options.plot:
        save_plot(options.plot, {name: curve for name, curve in curves.items() if curve}, findings.ticks)
    wrong = [group for found in findings.sizes.values() for group in differing(found)]
    print(f"START TIMES DIFFER: {', '.join(wrong)}" if wrong else "\nstart times are the same in every group")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
