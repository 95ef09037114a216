"""The modelled worker service: how workers launch, hold tasks, leave, and are taken away."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from simulations.quantiles import Quantiles
from simulations.trace import LONGEST_SECONDS, quantised

IMAGE_PULL_STARTS_SECONDS = 15.0
"""From the order to the start of the image pull, where Fargate's bill begins: an assumption of ours for
the attachment of the network interface; a described task's `pullStartedAt - createdAt` says the truth."""
MOST_LOSSES_PER_HOUR = 1000.0
"""A worker that lives for less than some seconds does nothing else than come and go."""
SPOT_NOTICE_SECONDS = 120.0
"""Between a Spot worker's notice, which comes as SIGTERM, and its end."""


def _check(name: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more, got {value:g}")
    if value > LONGEST_SECONDS:
        raise ValueError(f"{name} must be at most {LONGEST_SECONDS:g}, got {value:g}")


@dataclass(frozen=True, slots=True)
class LaunchDelay:
    """From the order to the first task taken: measured, lognormal, or constant with a spread of 0."""

    median_seconds: float = 59.0
    """The middle of ten measured Fargate launches of a 413 MB image (53 to 62 s)."""
    spread: float = 0.2
    """Standard deviation of the logarithm.  0.2 puts 95 % of launches between 40 and 87 s: wider than
    those ten, which were one image in one account."""
    measured: Quantiles | None = None
    """A service's own launches; then the two above are not looked at."""

    def __post_init__(self) -> None:
        for name in ("median_seconds", "spread"):
            _check(f"launch delay: {name}", getattr(self, name))

    def seconds(self, generator: np.random.Generator) -> float:
        """One launch.  Always draws, so that the n-th worker's luck is the same in compared runs."""
        if self.measured is not None:
            return quantised(float(self.measured.draw(generator, 1)[0]))
        drawn = float(generator.standard_normal())
        return quantised(self.median_seconds * float(np.exp(self.spread * drawn)))


@dataclass(frozen=True, slots=True)
class Pace:
    """So many at once, and then so many a second: AWS's token buckets."""

    per_second: float = inf
    burst: int = 1

    def __post_init__(self) -> None:
        if not self.per_second > 0:
            raise ValueError(f"launches per second must be more than 0, got {self.per_second:g}")
        if self.burst < 1:
            raise ValueError(f"launches at once must be at least 1, got {self.burst}")


@dataclass(frozen=True, slots=True)
class AccountModel:
    """What all services of the account share."""

    most_workers: float = inf
    """The quota: no more workers exist at a time, leaving ones included."""
    launches: Pace = Pace()

    def __post_init__(self) -> None:
        if not self.most_workers >= 1:
            raise ValueError(f"account: most workers must be at least 1, got {self.most_workers:g}")


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """One ECS service of Celery workers.

    The defaults are queueing theory's: whoever is to leave leaves at once, and AWS takes nobody away.
    `fargate` has what is known of the real thing.
    """

    slots_per_worker: int
    launch: LaunchDelay = LaunchDelay()
    slot_tail_seconds: float = 0.0
    """How long a slot stays taken after its task's end, where no Airflow is modelled that says so."""
    retry_delay_seconds: float = 600.0
    """From a worker's loss until its tasks are queued again, where no Airflow is modelled that says so:
    Airflow notices after 300 s without a heartbeat, and its default delay between tries is 300 s."""
    protection_seconds: float = 7200.0
    """How long a scale-in protection lasts; ECS's default."""
    pending_leave_first: bool = True
    """Whether a scale-in takes workers that have not started before others; ECS does not say."""
    stop_timeout_seconds: float = 0.0
    """From SIGTERM, when a worker takes nothing new, to SIGKILL, when it loses what it runs.  Fargate:
    2 to 120 s, 30 by default.  0: it is gone at once."""
    exit_seconds: float = 0.0
    """From SIGTERM, or a leaving worker's last free slot, until it is gone.  Measured: 4 to 5 s."""
    before_pull_seconds: float = 0.0
    """The part of a launch that is not billed yet."""
    launches: Pace = Pace()
    """How fast the service's scheduler launches."""
    account: AccountModel = AccountModel()
    never_start_share: float = 0.0
    """Share of launches that stay pending until the service gives them up."""
    give_up_seconds: float = 600.0
    """When it does, and launches another.  Not documented; a pull that fails ends sooner."""
    reclaims_per_hour: float = 0.0
    """Spot interruptions per hour of a started worker.  Protection is no help."""
    retirements_per_hour: float = 0.0
    """Workers whose host AWS retires, per hour of a started worker.  Protection is no help."""

    def __post_init__(self) -> None:
        if self.slots_per_worker < 1:
            raise ValueError(f"slots per worker must be at least 1, got {self.slots_per_worker}")
        for name in _DURATIONS:
            value = getattr(self, name)
            _check(name.replace("_", " "), value)
            object.__setattr__(self, name, quantised(value))
        for name in ("reclaims_per_hour", "retirements_per_hour"):
            _check(name.replace("_", " "), getattr(self, name))
            if getattr(self, name) > MOST_LOSSES_PER_HOUR:
                most = f"at most {MOST_LOSSES_PER_HOUR:g} of a worker"
                raise ValueError(f"{name.replace('_', ' ')} must be {most}, got {getattr(self, name):g}")
        if self.never_start_share and self.give_up_seconds < 1:
            raise ValueError(f"give up seconds must be at least 1, got {self.give_up_seconds:g}")
        if not 0 <= self.never_start_share < 1:
            raise ValueError(
                f"never start share must be at least 0 and less than 1, got {self.never_start_share:g}"
            )


_DURATIONS = (
    "slot_tail_seconds",
    "retry_delay_seconds",
    "protection_seconds",
    "stop_timeout_seconds",
    "exit_seconds",
    "before_pull_seconds",
    "give_up_seconds",
)


def fargate(slots_per_worker: int, launch: LaunchDelay = LaunchDelay()) -> ServiceModel:
    """A service on Fargate, with AWS's defaults: 500 launches a minute, 20 a second in the account.

    Nobody is taken away and every launch succeeds: the rates of that are each account's own.
    """
    return ServiceModel(
        slots_per_worker,
        launch,
        stop_timeout_seconds=30.0,
        exit_seconds=5.0,
        before_pull_seconds=IMAGE_PULL_STARTS_SECONDS,
        launches=Pace(500 / 60, 500),
        account=AccountModel(launches=Pace(20.0, 100)),
    )
