"""The subcommand for the first five minutes of a new user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoscaler.cli.common import ConfigOption, JsonOption, app, find_policies_here, needs
from autoscaler.cli.exporting import Database, is_typed
from autoscaler.cli.planning import JobsOption, LaunchOption, SeedOption, TailOption


@app.command()
def audit(
    context: typer.Context,
    db: Annotated[
        str | None,
        typer.Option(
            envvar="AUTOSCALER_DB",
            help="URL of Airflow's database; better from the environment, where no process list shows it.",
            show_default=False,
        ),
    ] = None,
    db_file: Annotated[str | None, typer.Option(help="File that holds the URL.")] = None,
    db_secret: Annotated[str | None, typer.Option(help="AWS secret that holds it.")] = None,
    config: ConfigOption = None,
    target: Annotated[str | None, typer.Option(help="Which target of that file.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="ECS cluster of the workers, to see their service.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="Their ECS service.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region; default: the environment's.")] = None,
    days: Annotated[float, typer.Option(help="How far back to look.")] = 7.0,
    queue: Annotated[
        list[str] | None, typer.Option(help="Only the tasks of this queue; may be given again.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks a worker runs at a time; default: the service's, or 16."),
    ] = None,
    slo: Annotated[str, typer.Option(help="The promise: 'p95 wait < 60s', 'mean wait < 2 min', ...")] = (
        "p95 wait < 60s"
    ),
    price: Annotated[
        str | None,
        typer.Option(help="x86:VCPU:GB, arm:VCPU:GB, or USD per hour; default: the service's, or x86:2:4."),
    ] = None,
    launch: LaunchOption = 59.0,
    slot_tail: TailOption = 0.0,
    runs: Annotated[int, typer.Option(help="Replications; the n-th has the same luck for all.")] = 1,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the exported trace here, a .parquet.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures here, an .html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a running Airflow, and say what its workers cost, what others would, and what to do.

    Reads Airflow's database and, given cluster and service, describes them on ECS; writes to neither.
    Exit code 2 if database or service cannot be read, or nothing ran.
    Example: AUTOSCALER_DB=postgresql://reader@db/airflow autoscaler audit
    Example: autoscaler audit --config autoscaler.toml --days 14 --slo "p95 wait < 2 min"
    """
    needs("simulate", "polars")
    find_policies_here()
    from autoscaler.cli.audit_asked import Asked
    from autoscaler.cli.auditing import run_audit

    database = Database(db, db_file, db_secret, config, "--db", is_typed(context, "db"))
    asked = Asked(
        database, target, cluster, service, region, days, tuple(queue or ()), slots, slo, price, launch,
        slot_tail, runs, seed, jobs, keep, report, as_json,
    )  # fmt: skip
    raise typer.Exit(run_audit(asked))
