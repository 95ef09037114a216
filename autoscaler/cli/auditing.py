"""What `autoscaler audit` does: export, look at the service, play policies, recommend, tell."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import typer

from autoscaler.cli.audit_asked import Asked, Setting, setting_of
from autoscaler.cli.audit_choices import choices_of
from autoscaler.cli.candidates import candidate_of
from autoscaler.cli.common import EXIT_FAILED, EXIT_USAGE, fail, load_settings
from autoscaler.cli.exporting import notes_of, written
from autoscaler.ports import SourceError
from autoscaler.settings import Settings
from autoscaler.sources.airflow_db import Credentials
from autoscaler.sources.airflow_db.address import parse as parse_address
from autoscaler.trace_export import Exporter, Tally, Window
from simulations.audit import Choices, audit
from simulations.audit_page import audit_page
from simulations.audit_tell import Subject, document, show
from simulations.cores import CoresError
from simulations.observed import Observed, observed, started_in
from simulations.price import parse as parse_price
from simulations.recommend import Question
from simulations.report.page import write
from simulations.slo import parse as parse_slo
from simulations.study import EXIT_DONE, EXIT_INTERRUPTED, Frame, Study, study_of
from simulations.trace import Trace, TraceError

DAY = 86_400.0


def run_audit(asked: Asked) -> int:
    """Audits and tells.  The exit code: 0 done, 1 a process died, 2 what is needed cannot be read."""
    asked.check()
    credentials, settings = asked.database.chosen()
    config = asked.database.config
    if settings is None and config is not None:  # its target, with another database
        settings = load_settings(config)
    setting = setting_of(asked, settings)
    try:
        with TemporaryDirectory(prefix="autoscaler-") as folder:
            return _audited(
                asked, setting, credentials, settings, asked.keep or Path(folder, "airflow.parquet")
            )
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _audited(
    asked: Asked, setting: Setting, credentials: Credentials, settings: Settings | None, out: Path
) -> int:
    until = time.time()
    window = Window(until - asked.days * DAY, until)
    executors = settings.airflow.celery_executors if settings is not None else ("CeleryExecutor",)
    exporter = Exporter(credentials, window, celery_executors=executors)
    place = _exported(asked, setting, exporter, out)
    question = Question(parse_slo(asked.slo))
    frame = Frame(
        out,
        seed=asked.seed,
        runs=asked.runs,
        launch=asked.launch,
        slot_tail=asked.slot_tail,
        jobs=asked.jobs,
        as_json=asked.as_json,
    )
    try:
        study = study_of(frame)
        found = audit(study, question, *_seen_and_choices(setting, study.trace, out))
        subject = _subject(place, window, exporter.tally, setting, study)
        if asked.report is not None:
            write(asked.report, audit_page(found, study, question, subject))
    except CoresError as error:
        fail(str(error), EXIT_FAILED)
    except (TraceError, ValueError) as error:
        fail(str(error), EXIT_USAGE)
    if asked.as_json:
        typer.echo(json.dumps(document(found, study, question, subject), indent=2))
    else:
        show(found, question, subject)
    return EXIT_DONE


def _seen_and_choices(setting: Setting, trace: Trace, out: Path) -> tuple[Observed, Choices]:
    slots = candidate_of(setting.base, f"target {setting.target}").slots
    seen = observed(started_in(out), trace.duration_seconds, trace.slots, trace.observed_wait_seconds, slots)
    return seen, choices_of(setting, trace, slots)


def _exported(asked: Asked, setting: Setting, exporter: Exporter, out: Path) -> str:
    """Where it came from; ends the command if nothing can be exported."""

    async def export() -> str:
        place = parse_address(await exporter.credentials()).place
        await written(exporter, out, setting.queues)
        return place

    try:
        return anyio.run(export)
    except SourceError as error:
        fail("\n".join(_one_a_remedy(str(error))), EXIT_USAGE)
    except TraceError as error:
        if not exporter.tally.tasks:
            fail(f"no task started on a worker in the last {asked.days:g} days: give more --days", EXIT_USAGE)
        if setting.queues:
            fail(f"no task of the queue {' or '.join(setting.queues)} started in that time", EXIT_USAGE)
        fail(str(error), EXIT_USAGE)


def _one_a_remedy(text: str) -> Sequence[str]:
    """Of a database that has none of Airflow's tables one line is enough; each missing right has its own."""
    lines = text.splitlines()
    return list({line.rpartition("; ")[2]: line for line in reversed(lines)}.values())[::-1]


def _subject(place: str, window: Window, tally: Tally, setting: Setting, study: Study) -> Subject:
    price, launch = parse_price(setting.price), study.service.launch.median_seconds
    how = (
        f"Played again: a task is ready as soon as its parents have ended; a worker takes {launch:g} s "
        f"to launch and costs ${price.usd_per_worker_hour:.4f} an hour: {price.label} ({setting.price_from})."
    )
    return Subject(
        place,
        window.since,
        window.until,
        tally.runs,
        [how, *setting.notes, *(f"Of the export: {note}." for note in notes_of(tally))],
        setting.slots_from,
        price,
        setting.present,
        setting.region,
        setting.target,
        whole_file=not setting.configured,
    )
