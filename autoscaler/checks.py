"""`autoscaler check`: everything that would keep the daemon from doing its work, with remedies."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from functools import partial
from time import time

from anyio import to_thread
from rich.console import Console
from rich.text import Text

from autoscaler.core.plain import one_line
from autoscaler.findings import Finding
from autoscaler.fleets.ecs.preflight import preflight
from autoscaler.leases import lease_of
from autoscaler.orders.book import OrdersError
from autoscaler.orders.file import OrdersFile
from autoscaler.ports import LeaseError, SourceError
from autoscaler.settings import LeaseKind, Mode, Settings
from autoscaler.sources.airflow_db.diagnosis import Expectation, diagnose
from autoscaler.wiring import cloudwatch_of, database_of, keeper_of, token_of

Findings = list[tuple[str, Finding]]
"""What each is about, and the finding."""


async def checked(settings: Settings) -> Findings:
    """All findings, database first.  Reads only, and never raises for what the world says."""
    findings: Findings = [("configuration", Finding(True, f"valid, mode {settings.mode.value}"))]
    if settings.airflow.has_database:
        findings += [("database", finding) for finding in await _database(settings)]
    else:
        remedy = (
            "set airflow.database_url: without it nobody says who is busy, and only an idle fleet shrinks"
        )
        findings.append(("database", Finding(True, "not configured", f"{remedy} (advice)")))
    findings += [("lease", finding) for finding in await lease_findings(settings)]
    findings += [("orders", finding) for finding in await orders_findings(settings)]
    findings += [("cloudwatch", finding) for finding in await cloudwatch_findings(settings)]
    for name, target in settings.targets.items():
        ask = partial(
            preflight,
            target.cluster,
            target.service,
            region=settings.aws.region,
            endpoint_url=settings.aws.endpoint_url,
            slots_per_worker=target.slots,
        )
        findings += [(name, finding) for finding in await to_thread.run_sync(ask)]
    return findings


async def _database(settings: Settings) -> list[Finding]:
    database = database_of(settings, time)
    expectations = [
        Expectation(name, target.slots, target.maximum, frozenset(target.queues) or None)
        for name, target in settings.targets.items()
    ]
    try:
        return await diagnose(database, expectations, settings.airflow.parallelism)
    finally:
        await database.aclose()


async def lease_findings(settings: Settings) -> list[Finding]:
    """Who leads now, if a lease is configured; nothing is taken."""
    lease = lease_of(settings.model_copy(update={"mode": Mode.ACT}))
    if settings.lease.kind is LeaseKind.NONE:
        return []
    try:
        leader = await lease.look()
    except LeaseError as error:
        what, _, remedy = str(error).partition("; ")
        return [Finding(False, what, remedy)]
    finally:
        await lease.release()
    return [Finding(True, f"{settings.lease.kind.value}: {one_line(leader) or 'nobody'} leads now")]


async def orders_findings(settings: Settings) -> list[Finding]:
    """Whether orders can be kept and given, if they are configured."""
    try:
        async with AsyncExitStack() as stack:
            keeper = await keeper_of(settings, stack)
            if keeper is None:
                return []
            await (to_thread.run_sync(keeper.examine) if isinstance(keeper, OrdersFile) else keeper.read())
        token = token_of(settings)
        if token is not None:
            await token()
    except OrdersError as error:
        what, _, remedy = str(error).partition("; ")
        return [Finding(False, what, remedy)]
    advice = "" if token else "set orders.token (or token_file): without one nobody can give any (advice)"
    return [Finding(True, "orders can be kept", advice)]


async def cloudwatch_findings(settings: Settings) -> list[Finding]:
    """What one reading says, if a target would take one."""
    try:
        async with AsyncExitStack() as stack:
            source = await cloudwatch_of(settings, time, stack)
            if source is None:
                return []
            demand = await source.demand()
    except SourceError as error:
        what, _, remedy = str(error).removeprefix("cloudwatch: ").partition("; ")
        return [Finding(False, what, remedy or "try again, and look at AWS's own status")]
    return [Finding(True, f"read: {demand.queued:g} queued, {demand.running:g} running")]


def printed(findings: Findings, *, as_json: bool) -> None:
    """A line a finding, with its remedy where one is needed."""
    if as_json:
        rows = [
            {"about": about, "ok": finding.ok, "what": finding.what, "remedy": finding.remedy}
            for about, finding in findings
        ]
        print(json.dumps(rows, indent=2))  # noqa: T201 - the command's output
        return
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(about) for about, _ in findings)
    for about, finding in findings:
        mark = Text("ok  ", "green") if finding.ok else Text("FIX ", "bold red")
        console.print(mark + Text(f"{about:<{width}}  {finding.what}"))
        if finding.remedy:
            console.print(Text(f"     {'':<{width}} -> {finding.remedy}", "yellow"))
    wrong = sum(not finding.ok for _, finding in findings)
    console.print(f"{wrong} to mend" if wrong else "all well")
