"""One seed's world: a storm, in which nothing must break, then calm, in which all must heal."""

from __future__ import annotations

import gc
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from time import process_time

import anyio
import trio.testing
from trio._core import _run

from autoscaler.configuration import ConfigurationError
from autoscaler.demo.ecs import EcsApi
from autoscaler.fleets.ecs import EcsClients
from autoscaler.loop import TargetLoop
from autoscaler.settings import Mode, Settings
from autoscaler.telemetry import configure_logging
from tests.soak.clients import in_process
from tests.soak.floor import Floor
from tests.soak.host import Process, state_of
from tests.soak.kinds import Kind
from tests.soak.life import Life
from tests.soak.ports import Airflow
from tests.soak.profile import TICK_SECONDS, Profile, changed, profile_of, settings_of
from tests.soak.shared import Shared
from tests.soak.states import states_of
from tests.soak.watch import Lines, watched
from tests.soak.weather import Weather

START = 1_750_000_000.0
CALM_TICKS = 600
"""By then the fleet is at its size: longer than a freeze, two deadlines and a protection together."""
SETTLED_TICKS = 10
"""So long it stays there."""
PROCESS_KINDS = frozenset(
    {Kind.DEATH, Kind.RESTART, Kind.RELOAD, Kind.BAD_RELOAD, Kind.SECOND, Kind.CLOCK_BACK}
)
ENDLESS = float("inf")
Wrap = Callable[[TargetLoop], TargetLoop]
Clients = Callable[[EcsApi, Life], AbstractAsyncContextManager[EcsClients]]


def as_it_is(loop: TargetLoop) -> TargetLoop:
    """No bug is planted."""
    return loop


@dataclass
class Outcome:
    """What became of one world."""

    seed: int
    broken: list[str]
    days: float
    calm_ticks: int
    pairs: Counter[tuple[str, str]]
    cpu_seconds: float
    lines: int
    tasks: int
    calls: int


@dataclass
class Story:
    """One world.  `wrap` may plant a bug into every loop before it is watched."""

    profile: Profile
    wrap: Wrap
    clients: Clients
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        profile, self._clock = self.profile, trio.testing.MockClock(autojump_threshold=0)
        self.chance = Random(f"luck {profile.seed}")
        self.api = EcsApi(self.now, profile.seed)
        self.api.world.add_service(profile.spec)
        lease_seconds = 300.0 if profile.guarded else ENDLESS
        self.floor = Floor(
            self.api.world,
            Random(f"floor {profile.seed}"),
            profile.slots,
            profile.mode == "observe",
            not profile.careful,
            lease_seconds,
            self.breaks,
            task_seconds=profile.task_seconds,
        )
        self.weather = Weather(self.api, self.floor, self.chance, self.states)
        self.shared = Shared(self.now, self.weather.meets, self.breaks, profile.leased)
        self.settings = settings_of(profile)
        self.clock_offset, self.calm_ticks = 0.0, 0
        self.lines = Lines(self.breaks)
        self.running: list[Process] = []
        self.had_two = False
        """Two daemons cannot tell each other's protections from their own."""
        self.over: anyio.CancelScope | None = None

    def now(self) -> float:
        """The world's clock, Unix seconds."""
        return START + self._clock.current_time()

    def breaks(self, what: str) -> None:
        """A violation: the world ends here."""
        self.broken.append(f"at {self.now() - START:.0f} s: {what}")
        if self.over is not None:
            self.over.cancel()

    def _breaks_law(self, what: str) -> None:
        if not (self.had_two and what.endswith("that was never ours")):
            self.breaks(what)

    def states(self) -> Iterator[str]:
        """Of all daemons that run."""
        for process in self.running:
            yield from states_of(state_of(process), self.now())
            standing = process.daemon.telemetry.standing
            if self.profile.leased and standing is not None:
                yield "leading" if standing.acts else "standing by"

    def play(self) -> Outcome:
        """From beginning to end."""
        configure_logging("json", self.lines)  # type: ignore[arg-type]
        gc.set_threshold(100_000)  # the AWS models are many objects, and stay
        began = process_time()
        anyio.run(self._main, backend="trio", backend_options={"clock": self._clock})
        return Outcome(
            self.profile.seed,
            self.broken,
            (self.now() - START) / 86400,
            self.calm_ticks,
            self.weather.pairs,
            process_time() - began,
            self.lines.written,
            self.floor.ran,
            self.weather.calls,
        )

    async def _main(self) -> None:
        # Trio runs what is ready in an order by lot: let it be this world's lot.
        _run._ALLOW_DETERMINISTIC_SCHEDULING = True
        _run._r.seed(self.profile.seed)
        with anyio.CancelScope() as self.over:
            async with anyio.create_task_group() as group:
                group.start_soon(self._host)
                with anyio.move_on_after(self.profile.storm_seconds):
                    async with anyio.create_task_group() as storm:
                        storm.start_soon(self._load)
                        storm.start_soon(self._storm, storm)
                await self._calm()
                group.cancel_scope.cancel()

    async def _host(self) -> None:
        """A machine on which somebody starts the daemon again whenever it has ended."""
        while True:
            await self._lives()
            await anyio.sleep(self.chance.choice((1.0, 20.0, 200.0)))

    async def _lives(self) -> None:
        process = Process(
            self.settings,
            self._reloaded,
            lambda: self.now() + self.clock_offset,
            lambda life: self.clients(self.api, life),
            lambda life: Airflow(self.floor, life, self.weather.meets),
            lambda loop: watched(
                self.wrap(loop), loop.controller, self._breaks_law, lambda: self.floor.surprise, self.now
            ),
            self.weather.standing,
            self.shared.lease_of,
        )
        self.running.append(process)
        try:
            await process.run()
        finally:
            self.running.remove(process)

    def _reloaded(self) -> Settings:
        if self.weather.meets(Kind.BAD_RELOAD):
            raise ConfigurationError("autoscaler.toml: targets.etl.max_workers: expected a number")
        self.settings = changed(self.profile, self.chance)
        return self.settings

    async def _load(self) -> None:
        """Tasks come in bursts; a burst each half hour, some of it at once."""
        while True:
            for burst in self.profile.bursts:
                for _ in range(60):
                    self.floor.queued += burst // 4 if self.chance.random() < 0.1 else 0
                    self.floor.work()
                    await anyio.sleep(TICK_SECONDS)

    async def _storm(self, group: anyio.abc.TaskGroup) -> None:
        while True:
            await anyio.sleep(self.chance.uniform(1, 2 * self.profile.strikes_every_seconds))
            self.weather.pass_by()
            kind = self.weather.choose(self.profile.kinds)
            if kind in PROCESS_KINDS:
                self._process_strikes(Kind(kind), group)
            else:
                self.weather.strike(kind)

    def _process_strikes(self, kind: Kind, group: anyio.abc.TaskGroup) -> None:
        if not self.running:
            return
        process, now = self.chance.choice(self.running), self.now()
        self.weather.met(kind)
        match kind:
            case Kind.DEATH:
                process.life.breaths_left = self.chance.randint(0, 12)
            case Kind.RESTART:
                process.send(signal.SIGTERM)
            case Kind.RELOAD:
                process.send(signal.SIGHUP)
            case Kind.BAD_RELOAD:
                self.weather.until[kind] = now + 1
                process.send(signal.SIGHUP)
            case Kind.SECOND if len(self.running) < 2:
                group.start_soon(self._second, self.chance.uniform(60, 1800))
            case Kind.CLOCK_BACK:
                self.clock_offset = self.chance.choice((0.0, -20.0, -200.0))

    async def _second(self, seconds: float) -> None:
        """A second daemon beside the first, for some time; then it is killed."""
        await anyio.sleep(self.chance.uniform(0, TICK_SECONDS))
        self.had_two = True
        with anyio.move_on_after(seconds):
            await self._lives()

    async def _calm(self) -> None:
        """Nothing goes wrong any more; one burst, and then nothing more to do."""
        self.weather.clear()
        self.clock_offset = 0.0
        for process in self.running:
            process.life.breaths_left = None
        self.floor.queued = 0 if self.settings.mode is Mode.OBSERVE else 3 * self.profile.slots
        settled = 0
        for self.calm_ticks in range(1, CALM_TICKS + 1):
            await anyio.sleep(TICK_SECONDS)
            self.floor.work()
            settled = settled + 1 if not self._unwell() else 0
            if settled >= SETTLED_TICKS:
                return
        self.breaks(f"not well after {CALM_TICKS} calm ticks: {self._unwell()}")

    def _unwell(self) -> str:
        """What is not as it shall be; empty: nothing."""
        floor, service = self.floor, self.floor.service
        stopped = [task for task in service.wanted if floor.stopped(task.arn)]
        if self.settings.mode is Mode.OBSERVE:
            return ""
        if floor.queued or floor.running:
            return f"{floor.queued} tasks queued, {floor.running} running"
        if stopped:
            return f"{len(stopped)} workers take no tasks"
        right = min((process.daemon.minimum for process in self.running), default=-1)
        if (service.desired, len(service.wanted)) != (right, right):
            return f"{len(service.wanted)} workers, {service.desired} desired, {right} would be right"
        return ""


def played(seed: int, *, clients: Clients = in_process) -> Outcome:
    """The world of a seed."""
    return Story(profile_of(seed), as_it_is, clients).play()
