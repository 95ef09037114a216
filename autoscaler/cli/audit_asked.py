"""What the command line, a configuration and the service itself say of the workers to audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from autoscaler.audit import WorkerService, look_at
from autoscaler.cli.common import DEFAULT_CONFIG, EXIT_USAGE, fail
from autoscaler.cli.exporting import Database
from autoscaler.ports import FleetError
from autoscaler.settings import Settings
from autoscaler.settings.target import DEFAULT_SLOTS_PER_WORKER
from simulations.audit import Present
from simulations.candidate import seeds_of
from simulations.price import parse as parse_price
from simulations.report import page
from simulations.slo import parse as parse_slo

DEFAULT_PRICE = "x86:2:4"
MOST_DAYS = 3650
TICK_SECONDS = 30.0
"""Between two decisions, where no configuration says it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    database: Database
    target: str | None
    cluster: str | None
    service: str | None
    region: str | None
    days: float
    queues: tuple[str, ...]
    slots: int | None
    slo: str
    price: str | None
    launch: float
    slot_tail: float
    runs: int
    seed: int | None
    jobs: int | None
    keep: Path | None
    report: Path | None
    as_json: bool

    def check(self) -> None:
        """Ends the command for what can be known to be wrong before anything is read."""
        if (self.cluster is None) != (self.service is None):
            fail("--cluster and --service go together", EXIT_USAGE)
        if not 0 < self.days <= MOST_DAYS:
            fail(f"--days: expected more than 0 and at most {MOST_DAYS}, got {self.days:g}", EXIT_USAGE)
        if self.keep is not None and self.keep.suffix.lower() != ".parquet":
            fail(f"--keep: expected a file named .parquet, got {self.keep}", EXIT_USAGE)
        if self.keep is not None and not self.keep.absolute().parent.is_dir():
            fail(f"--keep: {self.keep} cannot be written: there is no such folder", EXIT_USAGE)
        try:
            seeds_of(self.seed or 0, self.runs)
            parse_slo(self.slo)
            parse_price(self.price or DEFAULT_PRICE)
            if self.report is not None:
                page.check(self.report)
        except ValueError as error:
            fail(str(error), EXIT_USAGE)


@dataclass(slots=True)
class Setting:
    """What configuration, service and command line together say of a worker."""

    table: dict[str, Any] = field(default_factory=dict)
    """The target's table, as far as it is known."""
    target: str = "default"
    configured: bool = False
    """Whether the table comes from a configuration, which then has the rest."""
    queues: tuple[str, ...] = ()
    slots_from: str = "given"
    price: str = DEFAULT_PRICE
    price_from: str = "assumed"
    present: Present | None = None
    region: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def base(self) -> dict[str, Any]:
        """What every candidate starts from."""
        return {"interval_seconds": TICK_SECONDS, **self.table, "price": self.price}


def setting_of(asked: Asked, settings: Settings | None) -> Setting:
    """Ends the command if the target or the service is missing."""
    setting = Setting()
    if settings is not None:
        _configure(setting, asked, settings)
    if asked.cluster is not None and asked.service is not None:
        setting.table |= {"cluster": asked.cluster, "service": asked.service}
    setting.region = asked.region or setting.region
    setting.queues = asked.queues or setting.queues
    looked = _looked_at(asked, setting, settings)
    _size(setting, asked, looked)
    _price(setting, asked, looked)
    return setting


def _size(setting: Setting, asked: Asked, looked: WorkerService | None) -> None:
    """Slots: as given, else as configured, else as the service's workers are made."""
    slots = setting.table.get("slots_per_worker")
    if asked.slots is not None:
        slots = asked.slots
    elif slots is not None or "policy" in setting.table:
        setting.slots_from = "by the configuration"
    elif looked is not None and looked.slots is not None:
        slots, setting.slots_from = looked.slots, f"by {looked.slots_by}"
    else:
        slots, setting.slots_from = DEFAULT_SLOTS_PER_WORKER, "Airflow's default; --slots says another"
    if slots is not None:
        setting.table["slots_per_worker"] = slots


def _price(setting: Setting, asked: Asked, looked: WorkerService | None) -> None:
    if asked.price is not None:
        setting.price, setting.price_from = asked.price, "given"
    elif looked is not None and looked.vcpu is not None:
        setting.price = f"{looked.architecture}:{looked.vcpu:g}:{looked.memory_gb:g}"
        setting.price_from = "by the task definition"


def _configure(setting: Setting, asked: Asked, settings: Settings) -> None:
    names = list(settings.targets)
    name = asked.target or (names[0] if len(names) == 1 else "default")
    where = asked.database.config or DEFAULT_CONFIG
    if name not in settings.targets:
        fail(f"{where}: there is no target {name!r}; it has {', '.join(names)}", EXIT_USAGE)
    target = settings.targets[name]
    setting.table = target.model_dump(mode="json", exclude_unset=True)
    setting.target, setting.configured = name, True
    setting.queues, setting.region = tuple(target.queues), settings.aws.region


def _looked_at(asked: Asked, setting: Setting, settings: Settings | None) -> WorkerService | None:
    """The service, if one is known.  One that only the configuration names may be out of reach from here."""
    table = setting.table
    if "cluster" not in table:
        return None
    endpoint = settings.aws.endpoint_url if settings is not None else None
    try:
        looked = anyio.run(_look, table["cluster"], table["service"], setting.region, endpoint)
    except FleetError as error:
        if asked.cluster is not None:
            fail(str(error), EXIT_USAGE)
        setting.notes.append(f"The service was not looked at: {error}.")
        return None
    setting.present = Present(looked.name, looked.desired, looked.running, looked.pending)
    if looked.unknown:
        setting.notes.append(f"The size of a worker is not known: {looked.unknown}.")
    if looked.spot:
        setting.notes.append("The service may run on Fargate Spot; prices here are those on demand.")
    return looked


async def _look(cluster: str, service: str, region: str | None, endpoint_url: str | None) -> WorkerService:
    return await look_at(cluster, service, region=region, endpoint_url=endpoint_url)
