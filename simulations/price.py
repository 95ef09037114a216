"""What a worker costs.  List prices of us-east-1, Linux, on demand."""

from __future__ import annotations

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
FARGATE_MINIMUM_SECONDS = 60.0
EXPECTED = "x86:VCPU:GB, arm:VCPU:GB, an MWAA class such as mw1.small, or dollars per worker-hour"


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

    def usd(self, billed_worker_hours: float, run_hours: float) -> float:
        """The cost of a run."""
        extra = max(0.0, billed_worker_hours - self.included_workers * run_hours)
        return self.base_usd_per_hour * run_hours + self.usd_per_worker_hour * extra


def fargate(architecture: str, vcpu: float, memory_gb: float) -> Price:
    """A Fargate task's price: per second, at least a minute."""
    vcpu_usd, gb_usd = FARGATE[architecture]
    label = f"Fargate {architecture}, {vcpu:g} vCPU, {memory_gb:g} GB"
    return Price(label, vcpu * vcpu_usd + memory_gb * gb_usd, FARGATE_MINIMUM_SECONDS)


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
    try:
        numbers = [float(each) for each in (sizes if architecture in FARGATE else [text])]
    except ValueError:
        numbers = []
    wanted = 2 if architecture in FARGATE else 1
    if len(numbers) != wanted or not all(isfinite(number) and number >= 0 for number in numbers):
        raise PriceError(f"price: expected {EXPECTED}, got {text!r}")
    if architecture in FARGATE:
        return fargate(architecture, *numbers)
    return Price(f"{numbers[0]:g} $ per worker-hour", numbers[0])
