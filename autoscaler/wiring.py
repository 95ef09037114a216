"""From settings to running parts.  With `leases.py` the only module that names concrete adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from autoscaler.fleets.dry_run import DryRun
from autoscaler.fleets.ecs import EcsClients, EcsFleet, ecs_clients
from autoscaler.loop import Ports
from autoscaler.orders import token
from autoscaler.orders.book import OrderBook, OrdersError, Token
from autoscaler.orders.file import OrdersFile
from autoscaler.orders_table import OrdersItem
from autoscaler.ports import Fleet, FleetError, Intake, IntakeError, Source, SourceError
from autoscaler.settings import (
    Airflow,
    Cloudwatch,
    CloudwatchNamespace,
    Mode,
    RemovalMode,
    Settings,
    SourceChoice,
    SourceKind,
    Target,
)
from autoscaler.settings import Lease as LeaseSettings
from autoscaler.sources.airflow_db.connection import Timeouts
from autoscaler.sources.airflow_db.credentials import Credentials, fixed, from_file, from_secrets_manager
from autoscaler.sources.airflow_db.database import AirflowDatabase
from autoscaler.sources.airflow_db.reading import Limits
from autoscaler.sources.cloudwatch import (
    CloudwatchSource,
    LoadMetrics,
    Metric,
    cloudwatch_client,
    executor_metrics,
    queue_metrics,
)
from autoscaler.sources.fallback import Fallback, NamedSource
from autoscaler.sources.statsd import StatsdServer, StatsdSource, statsd_server

if TYPE_CHECKING:
    from autoscaler.intake.remote import Remote


class WiringError(Exception):
    """A valid configuration that cannot be put to work here; the message names the setting."""


@dataclass(frozen=True, slots=True)
class Wired:
    """What a configuration comes to."""

    ports: dict[str, Ports]
    """The world of each target."""
    gauges: Mapping[str, Callable[[], float]]
    """Metrics that adapters count themselves, by name."""
    orders: OrderBook = field(default_factory=OrderBook)
    """What is ordered for the targets."""
    token: Token | None = None
    """Whoever knows it may give orders; None: nobody."""


@asynccontextmanager
async def wired(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Wired]:
    """Everything that runs, open until the context ends.  Raises `WiringError`."""
    async with AsyncExitStack() as stack:
        parts = await _Parts.opened(settings, clock, stack)
        orders = await _orders(settings, stack)
        ports = {
            name: replace(parts.ports(name, target), orders=partial(orders.of, name))
            for name, target in settings.targets.items()
        }
        yield Wired(ports, parts.gauges(), orders, token_of(settings))


def database_of(settings: Settings, clock: Callable[[], float]) -> AirflowDatabase:
    """The configured metadata database; `aclose` it at the end."""
    airflow = settings.airflow
    shortest = min(target.interval_seconds for target in settings.targets.values())
    return AirflowDatabase(
        credentials_of(settings),
        clock,
        limits=Limits(airflow.heartbeat_max_age_seconds, airflow.phantom_seconds),
        timeouts=Timeouts(statement_seconds=airflow.statement_timeout_seconds),
        celery_executors=airflow.celery_executors,
        max_age_seconds=shortest / 2,
    )


def credentials_of(settings: Settings, place: Airflow | LeaseSettings | None = None) -> Credentials:
    """How a configured database is logged in to, by default Airflow's; asked only where one is configured."""
    place = place or settings.airflow
    if place.database_url_file is not None:
        return from_file(place.database_url_file)
    if place.database_url_secret is not None:
        return from_secrets_manager(place.database_url_secret, settings.aws.region, settings.aws.endpoint_url)
    assert place.database_url is not None, "no database is configured"
    return fixed(place.database_url.get_secret_value())


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the targets share."""

    settings: Settings
    clock: Callable[[], float]
    clients: EcsClients
    database: AirflowDatabase | None
    statsd: StatsdServer | None
    cloudwatch: CloudwatchSource | None
    remote: Remote | None

    @classmethod
    async def opened(cls, settings: Settings, clock: Callable[[], float], stack: AsyncExitStack) -> Self:
        """Opens everything that a target uses.  Raises `WiringError`."""
        try:
            clients = await stack.enter_async_context(
                ecs_clients(settings.aws.region, settings.aws.endpoint_url)
            )
            cloudwatch = await cloudwatch_of(settings, clock, stack)
        except (FleetError, SourceError) as error:
            raise WiringError(str(error)) from None
        database = None
        if settings.airflow.has_database:
            database = database_of(settings, clock)
            stack.push_async_callback(database.aclose)
        statsd = await _statsd(settings, stack)
        remote = None if settings.mode is Mode.OBSERVE else _remote(settings, clock, stack)
        return cls(settings, clock, clients, database, statsd, cloudwatch, remote)

    def ports(self, name: str, target: Target) -> Ports:
        """The world of one target.  Whatever demand comes from, the database says who is busy."""
        queues = frozenset(target.queues) or None
        fleet: Fleet = EcsFleet(
            self.clients,
            target.cluster,
            target.service,
            clock=self.clock,
            check_seconds=target.list_every_seconds,
            protection_minutes=target.protection_minutes,
        )
        if self.settings.mode is Mode.OBSERVE:
            fleet = DryRun(fleet, name)
        # A little less than the loop waits, so that the sources' own reasons arrive before its deadline.
        deadline = 0.95 * target.read_deadline_seconds
        share = deadline / len(target.sources)
        choices = [
            NamedSource(choice.use.value, self._source(choice, queues), choice.age_limit_seconds, share)
            for choice in target.sources
        ]
        source = Fallback(choices, deadline_seconds=deadline, clock=self.clock)
        gathers = self.settings.removal_mode(target) is RemovalMode.GATHER
        witness = self.database.target(queues, tells_work_left=gathers) if self.database else None
        return Ports(source, fleet, witness, self._intake(target))

    def _intake(self, target: Target) -> Intake | None:
        """None where nobody may be told anything."""
        if self.remote is None or self.settings.removal_mode(target) is RemovalMode.CAREFUL:
            return None
        from autoscaler.intake.celery import CeleryIntake  # noqa: PLC0415 - of an extra

        queues, pattern = frozenset(target.queues), self.settings.celery.node_name
        return CeleryIntake(self.remote, self.clock, queues, pattern)

    def gauges(self) -> dict[str, Callable[[], float]]:
        """What the StatsD server counts, if there is one."""
        statsd = self.statsd
        if statsd is None:
            return {}
        return {
            "statsd_packets": lambda: statsd.packets,
            "statsd_malformed": lambda: statsd.malformed,
            "statsd_senders": lambda: statsd.sources,
            "statsd_relayed": lambda: statsd.relayed,
            "statsd_relay_errors": lambda: statsd.relay_errors,
        }

    def _source(self, choice: SourceChoice, queues: frozenset[str] | None) -> Source:
        match choice.use:
            case SourceKind.AIRFLOW_DB:
                assert self.database is not None, "the settings were validated"
                return self.database.target(queues)
            case SourceKind.STATSD:
                assert self.statsd is not None, "the settings were validated"
                return StatsdSource(
                    self.statsd,
                    self.settings.statsd.executor,
                    self.settings.statsd.schedulers,
                    clock=self.clock,
                )
            case SourceKind.CLOUDWATCH:
                assert self.cloudwatch is not None, "the settings were validated"
                return replace(self.cloudwatch, max_age_seconds=choice.age_limit_seconds)


def _remote(settings: Settings, clock: Callable[[], float], stack: AsyncExitStack) -> Remote | None:
    """The workers' remote control, if a target uses it.  Raises `WiringError`."""
    celery = settings.celery
    if all(settings.removal_mode(target) is RemovalMode.CAREFUL for target in settings.targets.values()):
        return None
    try:
        from autoscaler.intake.broker import broker_of, url_from_file  # noqa: PLC0415 - of an extra
        from autoscaler.intake.celery import CeleryIntake  # noqa: PLC0415
        from autoscaler.intake.remote import Remote  # noqa: PLC0415
    except ModuleNotFoundError as error:
        remedy = "pip install 'airflow-worker-autoscaler[celery]'"
        raise WiringError(
            f"removal.mode needs the extra 'celery' ({error.name} is missing): {remedy}"
        ) from None
    try:
        if celery.broker_url is not None:
            url = celery.broker_url.get_secret_value()
        else:
            url = url_from_file(str(celery.broker_url_file))
        broker = broker_of(url, celery.transport_options)
    except IntakeError as error:
        raise WiringError(f"celery: {error}") from None
    remote = Remote(broker, exchange=celery.control_exchange, answer_seconds=celery.answer_seconds)
    stack.push_async_callback(CeleryIntake(remote, clock).aclose)
    return remote


async def _orders(settings: Settings, stack: AsyncExitStack) -> OrderBook:
    """The orders of an earlier life, and a place for new ones.  Raises `WiringError`."""
    try:
        keeper = await keeper_of(settings, stack)
        if isinstance(keeper, OrdersFile):
            keeper.begin()
    except OrdersError as error:
        raise WiringError(str(error)) from None
    book = OrderBook(keeper)
    with suppress(OrdersError):  # then everything is paused, says why, and it is tried again
        await book.read()
    return book


async def keeper_of(settings: Settings, stack: AsyncExitStack) -> OrdersItem | OrdersFile | None:
    """Where orders are kept, if anywhere, open until the stack ends.  Raises `OrdersError`."""
    path, table, aws = settings.orders.path, settings.orders.table, settings.aws
    if table is not None:
        return await OrdersItem.opened(stack, table, settings.shared_name, aws.region, aws.endpoint_url)
    return None if path is None else OrdersFile(Path(path))


def token_of(settings: Settings) -> Token | None:
    """Whoever knows it may give orders; None: nobody."""
    orders = settings.orders
    if orders.token_file is not None:
        return token.from_file(orders.token_file)
    return None if orders.token is None else token.fixed(orders.token.get_secret_value().strip())


async def _statsd(settings: Settings, stack: AsyncExitStack) -> StatsdServer | None:
    if not any(target.uses(SourceKind.STATSD) for target in settings.targets.values()):
        return None
    statsd = settings.statsd
    try:
        return await stack.enter_async_context(
            statsd_server(
                statsd.host,
                statsd.port,
                prefix=statsd.prefix,
                relay=statsd.relay,
                silent_after_seconds=statsd.heartbeat_max_age_seconds,
            )
        )
    except (OSError, ValueError) as error:
        place = f"statsd.host = {statsd.host}, statsd.port = {statsd.port}"
        raise WiringError(f"{place}: {error}") from None


async def cloudwatch_of(
    settings: Settings, clock: Callable[[], float], stack: AsyncExitStack
) -> CloudwatchSource | None:
    """CloudWatch, if a target reads it, open until the stack ends.  Raises `SourceError`."""
    if settings.cloudwatch is None or not any(
        target.uses(SourceKind.CLOUDWATCH) for target in settings.targets.values()
    ):
        return None
    client = await stack.enter_async_context(
        cloudwatch_client(settings.aws.region, settings.aws.endpoint_url)
    )
    return CloudwatchSource(client, _load_metrics(settings.cloudwatch), clock=clock)


def _load_metrics(cloudwatch: Cloudwatch) -> LoadMetrics:
    queued, running = cloudwatch.queued, cloudwatch.running
    if queued is not None and running is not None:
        return LoadMetrics(*(Metric(own.namespace, own.name, own.dimensions) for own in (queued, running)))
    assert cloudwatch.environment is not None, "the settings were validated"
    if cloudwatch.namespace is CloudwatchNamespace.QUEUE:
        return queue_metrics(cloudwatch.environment)
    return executor_metrics(cloudwatch.environment)
