"""An audit as a person, a script and a configuration read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoscaler.core.plain import plain
from simulations.advice import DATABASE, PLACEHOLDERS
from simulations.audit import Audit, Kind, Present, Row
from simulations.candidate import Candidate
from simulations.observed import Needed, Waits
from simulations.price import Price
from simulations.recommend import Question
from simulations.study import Study
from simulations.toml_block import block, key_text
from simulations.words import count, instant, share, span, sure, usd

FIGURES = ("cost $", "worker-h", "wait", "p95", "max", "peak", "kept")
"""What the table shows of each row: three waits, the most workers, whether the promise was kept."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose past it is, in words and plain values; never a secret."""

    place: str
    """The database, without its password."""
    since: float
    """Unix seconds."""
    until: float
    runs: int
    """DAG runs."""
    notes: Sequence[str]
    """What to know of the export and of what was assumed, a line each."""
    slots_from: str
    """Who says how many tasks a worker runs at a time."""
    price: Price
    """Of one worker."""
    present: Present | None = None
    region: str | None = None
    target: str = "default"
    whole_file: bool = True
    """Whether the advice is a whole configuration, or the target's table of one that there is."""

    @property
    def hours(self) -> float:
        """The window's length."""
        return (self.until - self.since) / 3600


def configuration(candidate: Candidate, subject: Subject) -> str:
    """The setting as the daemon reads it."""
    table = {name: value for name, value in candidate.setting.items() if name != "price"}
    named = table if "cluster" in table else {**PLACEHOLDERS, **table}
    target = block(f"targets.{key_text(subject.target)}", named) + "\n"
    if not subject.whole_file:
        return target
    aws = f"{block('aws', {'region': subject.region})}\n\n" if subject.region else ""
    return f"{DATABASE}\n{aws}{target}"


def document(found: Audit, study: Study, question: Question, subject: Subject) -> dict[str, Any]:
    """For JSON."""
    best = found.recommended
    return {
        "airflow": subject.place,
        "since": subject.since,
        "until": subject.until,
        "dag_runs": subject.runs,
        "notes": list(subject.notes),
        "trace": found.description.as_dict(),
        "observed": asdict(found.observed),
        "service": None if subject.present is None else asdict(subject.present),
        "price": subject.price.label,
        "seed": study.seed,
        "runs": len(study.seeds),
        "slo": question.slo.text,
        "rows": [_plain(row) for row in found.rows],
        "recommended": None if best is None else {"label": best.label, "setting": best.setting},
        "sure": found.sure,
        "why_no_recommendation": found.why_no_advice,
        "toml": "" if best is None else configuration(best, subject),
    }


def _plain(row: Row) -> Mapping[str, Any]:
    figures = {name: value for name, value in asdict(row).items() if name not in {"candidate", "kind"}}
    price = row.candidate.price.label
    return {"kind": row.kind.value, "label": row.candidate.label, "price": price, **figures}


def show(found: Audit, question: Question, subject: Subject) -> None:
    """For a person: what was, what would have been, what to do."""
    console = Console(highlight=False)
    for name, what in was(found, subject):
        console.print(plain(f"{name:<9} {what}"), markup=False, soft_wrap=True)
    console.print()
    console.print(_table(found))
    for line in (*notes(found), *subject.notes, advised(found, question)):
        console.print(plain(line), markup=False, soft_wrap=True)
    if (best := found.recommended) is not None:
        console.print()
        console.print(configuration(best, subject), markup=False, soft_wrap=True, end="")


def was(found: Audit, subject: Subject) -> Iterator[tuple[str, str]]:
    """The past: (what, in words)."""
    described, seen = found.description, found.observed
    yield "Airflow", f"{subject.place}, {_minute(subject.since)} to {_minute(subject.until)} UTC"
    tries = f"{count(described.tasks, 'task try', 'task tries')} of {count(subject.runs, 'DAG run')}"
    middle, long = (span(described.duration_seconds[each]) for each in ("p50", "p95"))
    yield "ran", f"{tries}; a try takes {middle} (p50), {long} (p95)"
    if len(described.queues) > 1:
        queues = ", ".join(f"{name or 'default'} {tasks:,}" for name, tasks in described.queues.items())
        yield "queues", f"{queues}: played as one fleet; --queue takes one"
    yield "waited", _waits(seen.waits)
    needed = seen.needed
    yield "busy", f"{needed.busy_mean:,.1f} slots on average, {needed.busy_peak:,} at most"
    yield "needed", f"{_needed(needed)} ({subject.slots_from})"
    if subject.present is not None:
        yield "service", _present(subject.present, needed, subject)


def _waits(waits: Waits | None) -> str:
    if waits is None:
        return "nobody knows: Airflow kept no instant of queueing"
    return (
        f"{span(waits.mean_seconds)} on average, {span(waits.p50_seconds)} (p50), "
        f"{span(waits.p95_seconds)} (p95), {span(waits.max_seconds)} at most, from queued to started"
    )


def _needed(needed: Needed) -> str:
    workers = f"{count(needed.workers_peak, 'worker')} at the peak, {needed.workers_mean:,.1f} on average"
    slots = count(needed.slots_per_worker, "slot")
    return f"at least {workers}, {needed.worker_hours:,.1f} worker-hours in all, with {slots} a worker"


def _present(present: Present, needed: Needed, subject: Subject) -> str:
    now = f"{present.name}: {present.desired} desired, {present.running} running, {present.pending} pending"
    hours = present.desired * subject.hours
    if not hours:
        return now
    cost, used = hours * subject.price.usd_per_worker_hour, min(1.0, needed.worker_hours / hours)
    return f"{now}; always so many: {hours:,.0f} worker-hours, {usd(cost)}, {share(used, 1)} of it needed"


def _table(found: Audit) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("what would have been", overflow="fold")
    for name in FIGURES:
        table.add_column(name, justify="right")
    for kind in Kind:
        rows = [row for row in found.rows if row.kind is kind]
        if rows:
            table.add_row(Text(kind.value, "bold"))
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in cells(row)))
    return table


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table: its label and `FIGURES`."""
    label = "the recommended setting" if row.kind is Kind.ADVICE else row.candidate.label
    if row.error:
        return (label, "cannot run")
    return (
        label,
        f"{row.cost_usd:,.2f}",
        f"{row.worker_hours:,.1f}",
        span(row.wait_mean_seconds),
        span(row.wait_p95_seconds),
        span(row.wait_max_seconds),
        f"{row.peak_workers:,.0f}",
        "yes" if row.kept else "no",
    )


def notes(found: Audit) -> Iterator[str]:
    """What is said of the table."""
    lost = [row.candidate.label for row in found.rows if row.killed_tasks]
    if lost:
        yield f"Tasks were lost with their worker, and run again, with: {', '.join(lost)}."
    for row in found.rows:
        if row.error:
            yield f"{row.candidate.label}: {row.error}"
    yield (
        "Amazon MWAA's cost is that of the whole environment, schedulers and web servers included; the "
        "others are workers only."
    )


def advised(found: Audit, question: Question) -> str:
    """The recommendation in a sentence."""
    advice = found.advice
    if advice is None:
        return f"No recommendation: {found.why_no_advice}."
    promise = f"'{question.slo.text}'"
    if advice.chosen is not None:
        return (
            f"Recommended: {advice.chosen.candidate.label}. Of {advice.tried} settings it is the cheapest "
            f"that keeps {promise}: tuned on the first {question.split:.0%} of the time, and by the rest "
            f"{sure(advice.chosen.confidence)} sure to keep it."
        )
    if advice.closest is None or advice.closest.error:
        return f"No recommendation: none of {advice.tried} settings can run."
    best, certainty = advice.closest.candidate.label, sure(advice.closest.confidence)
    return (
        f"None of {advice.tried} settings is {question.confidence:.0%} sure to keep {promise}. The closest, "
        f"{certainty} sure: {best}. More history (--days) or a longer wait (--slo) may help."
    )


def _minute(at: float) -> str:
    return instant(at // 60 * 60)
