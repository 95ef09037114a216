"""What a worker costs.  List prices of us-east-1, Linux, on demand."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import isfinite

from policies.mwaa import ENVIRONMENT_CLASSES

X86_VCPU_USD_PER_HOUR, X86_GB_USD_PER_HOUR = 0.04048, 0.004445
ARM_VCPU_USD_PER_HOUR, ARM_GB_USD_PER_HOUR = 0.03238, 0.00356
FARGATE = {
    "x86": (X86_VCPU_USD_PER_HOUR, X86_GB_USD_PER_HOUR),
    "arm": (ARM_VCPU_USD_PER_HOUR, ARM_GB_USD_PER_HOUR),
}
"""AWS Fargate, dollars per vCPU-hour and per GB-hour, ephemeral storage up to 20 GB included."""
LISTED = "November 2026"
"""All prices, MWAA's included, are as they were known then."""
FARGATE_MINIMUM_SECONDS = 60.0
SPOT_DISCOUNT = 0.6
"""Fargate Spot is 50 to 70 % cheaper, by region and month; the middle, where nobody says."""
EXPECTED = (
    "x86:VCPU:GB, arm:VCPU:GB, an MWAA class such as mw1.small, or dollars per worker-hour "
    "(Spot: x86:VCPU:GB:spot, or :spot=0.7 for 70 % less)"
)


class PriceError(ValueError):
    """A price that cannot be understood; says what was expected."""


@dataclass(frozen=True, slots=True)
class Price:
    """How worker time becomes dollars."""

    label: str
    usd_per_worker_hour: float
    minimum_seconds: float = 0.0
    """A worker is billed for at least that long."""
    base_usd_per_hour: float = 0.0
    """Paid for every hour of the run, whatever the fleet is."""
    included_workers: int = 0
    """Workers at a time that the base price pays for."""
    vcpu_share: float | None = None
    """Part of a worker's price that is for its vCPUs, the rest being for its memory; None: undivided."""

    def usd(self, billed_worker_hours: float, run_hours: float) -> float:
        """The cost of a run."""
        return self.bill(billed_worker_hours, run_hours).total_usd

    def bill(self, billed_worker_hours: float, run_hours: float) -> Bill:
        """The cost of a run by what it is for."""
        extra = max(0.0, billed_worker_hours - self.included_workers * run_hours)
        workers, base = self.usd_per_worker_hour * extra, self.base_usd_per_hour * run_hours
        if self.vcpu_share is None:
            return Bill(base + workers, base, workers_usd=workers)
        vcpu = self.vcpu_share * workers
        return Bill(base + workers, base, vcpu_usd=vcpu, memory_usd=workers - vcpu)


@dataclass(frozen=True, slots=True)
class Bill:
    """A run's cost by what it is for; the parts make up the total."""

    total_usd: float
    base_usd: float = 0.0
    """MWAA's environment, whatever the fleet is."""
    vcpu_usd: float = 0.0
    memory_usd: float = 0.0
    workers_usd: float = 0.0
    """Workers with an undivided price: MWAA's additional ones, or dollars per hour."""


def fargate(architecture: str, vcpu: float, memory_gb: float, *, discount: float = 0.0) -> Price:
    """A Fargate task's price: per second, at least a minute.  `discount`: of Spot."""
    vcpu_usd, gb_usd = FARGATE[architecture]
    full = vcpu * vcpu_usd + memory_gb * gb_usd
    label = f"Fargate {architecture}, {vcpu:g} vCPU, {memory_gb:g} GB"
    spot = f", Spot ({discount:.0%} less)" if discount else ""
    share = vcpu * vcpu_usd / full if full else None
    return Price(f"{label}{spot}", full * (1 - discount), FARGATE_MINIMUM_SECONDS, vcpu_share=share)


def mwaa(name: str) -> Price:
    """An MWAA environment of that class: the environment with its one worker, and additional workers."""
    preset = ENVIRONMENT_CLASSES[name]
    verified = "" if preset.price_verified else " (worker price unverified)"
    return Price(
        f"MWAA {name}{verified}",
        preset.worker_usd_per_hour or 0.0,
        base_usd_per_hour=preset.environment_usd_per_hour,
        included_workers=1,
    )


def parse(text: str) -> Price:
    """The price that a command line names.  Raises `PriceError`."""
    if text in ENVIRONMENT_CLASSES:
        return mwaa(text)
    architecture, *sizes = text.split(":")
    discount = None
    if architecture in FARGATE and len(sizes) == 3:
        discount = sizes.pop()
    try:
        numbers = [float(each) for each in (sizes if architecture in FARGATE else [text])]
        less = _discount(discount)
    except ValueError:
        numbers = []
    wanted = 2 if architecture in FARGATE else 1
    # A worker without a vCPU is a slip; one for nothing (0 dollars an hour) may be a machine that is there.
    least = sys.float_info.min if architecture in FARGATE else 0.0
    if len(numbers) != wanted or not all(isfinite(number) and number >= least for number in numbers):
        raise PriceError(f"price: expected {EXPECTED}, got {text!r}")
    if architecture in FARGATE:
        return fargate(architecture, *numbers, discount=less)
    return Price(f"{numbers[0]:g} $ per worker-hour", numbers[0])


def _discount(text: str | None) -> float:
    """Of `spot` or `spot=SHARE`; none without.  Raises `ValueError`."""
    if text is None:
        return 0.0
    name, equals, share = text.partition("=")
    discount = float(share) if equals else SPOT_DISCOUNT
    if name != "spot" or not 0 < discount < 1:
        raise ValueError
    return discount
