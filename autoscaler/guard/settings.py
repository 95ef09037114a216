"""The guard's configuration: environment variables, as a sidecar's task definition sets them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PositiveFloat, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from autoscaler.core.plain import OneLineError
from autoscaler.guard.processes import POOL
from autoscaler.reference import NO_DEFAULT, fields, toml
from autoscaler.settings.intake import Celery
from autoscaler.settings.section import Name, Port

PREFIX = "AUTOSCALER_GUARD__"
AGENT_VARIABLE = "ECS_AGENT_URI"
METADATA_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"


class GuardConfigurationError(OneLineError):
    """One line a problem; never a secret."""


class ProbeKind(StrEnum):
    """How the guard finds out what the worker holds."""

    PROCESSES = "processes"
    COMMAND = "command"


def _expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return pattern


def _agent_url(url: str) -> str:
    if not re.fullmatch(r"http://[\w.:\[\]-]+(/[\w/.-]*)?", url):
        raise ValueError(f"expected http://HOST/PATH, as ECS sets it in {AGENT_VARIABLE}")
    return url


class GuardSettings(BaseSettings):
    """The whole configuration of a guard."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    agent_url: Annotated[str, AfterValidator(_agent_url)]
    """The ECS agent's endpoint.  Default: ECS_AGENT_URI, which ECS sets on platform 1.4.0."""
    probe: ProbeKind = ProbeKind.PROCESSES
    """`processes`: the worker's pool, seen in one process namespace; `command`: a probe of your own."""
    pool_pattern: Annotated[Name, AfterValidator(_expression)] = POOL
    """A regular expression for the titles of the worker's pool processes."""
    command: tuple[Name, ...] = ()
    """A command that prints how many tasks the worker holds: `["/probe", "--count"]`."""
    poll_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """Time between two looks: for so long a task may run unprotected on a worker that was let go."""
    idle_seconds: PositiveFloat = 60.0
    """So long the worker must be idle before its task is let go."""
    expires_minutes: Annotated[int, Field(ge=10, le=2880)] = 60
    """A protection's length, renewed at half: a worker whose guard is dead loses it after that."""
    start_anyway_seconds: PositiveFloat = 120.0
    """An agent that refuses for so long no longer holds the worker's start up."""
    host: Name = "127.0.0.1"
    """Address of `/healthz` and `/metrics`; containers of one task share 127.0.0.1."""
    port: Port = 9276
    """TCP port of `/healthz` and `/metrics`; 0 takes a free one."""
    lease_seconds: Annotated[float, Field(ge=60)] = 600.0
    """With a broker: a stopped intake that nobody renews for so long is resumed."""
    queues: tuple[Name, ...] = ("default",)
    """With a broker: the queues that the worker consumes (`airflow celery worker -q`)."""
    celery: Celery = Celery()
    """The broker, if it is Redis or RabbitMQ; not with SQS."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.probe is ProbeKind.COMMAND) != bool(self.command):
            raise ValueError("probe = command and command go together: give both or neither")
        return self


def load(environ: Mapping[str, str]) -> GuardSettings:
    """The settings of an environment.  Raises `GuardConfigurationError`."""
    mine = {key: value for key, value in environ.items() if key.upper().startswith(PREFIX)}
    for key in sorted(mine):
        first = key[len(PREFIX) :].split("__")[0].lower()
        if first not in GuardSettings.model_fields:
            known = ", ".join(f"{PREFIX}{name.upper()}" for name in GuardSettings.model_fields)
            raise GuardConfigurationError(f"environment: {key} is not a setting; expected one of {known}")
    if environ.get(AGENT_VARIABLE):
        mine.setdefault(f"{PREFIX}AGENT_URL", environ[AGENT_VARIABLE])
    source = EnvSettingsSource(GuardSettings, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {key.lower(): value for key, value in mine.items()}
    try:
        values: dict[str, Any] = source()
        return GuardSettings.model_validate(values)
    except SettingsError as error:
        raise GuardConfigurationError(f"environment: {error}: expected JSON") from None
    except RecursionError:
        raise GuardConfigurationError("environment: expected JSON, got what is nested without end") from None
    except ValidationError as error:
        raise GuardConfigurationError(*_complaints(error)) from None


def described() -> str:
    """Every variable with its default and meaning, a line each."""
    lines = []
    for setting in fields(GuardSettings):
        default = (
            "" if setting.default is NO_DEFAULT or setting.default is None else f" [{toml(setting.default)}]"
        )
        name = PREFIX + setting.key.upper().replace(".", "__")
        lines.append(f"{name}{default}\n    {setting.meaning}")
    return "\n".join(lines)


def _complaints(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        key = PREFIX + "__".join(str(part) for part in each["loc"]).upper()
        if each["loc"] == ("agent_url",) and each["type"] == "missing":
            yield (
                f"environment: {AGENT_VARIABLE} is missing: ECS sets it in tasks on Fargate 1.4.0 or later; "
                f"elsewhere set {key}"
            )
            continue
        message = each["msg"].removeprefix("Value error, ")
        given = "" if isinstance(each["input"], Mapping) else f" = {str(each['input'])[:60]!r}"
        if "celery" in each["loc"] or "://" in given:
            given = ""  # there may be a password in it
        yield f"environment: {key.rstrip('_')}{given}: {message[0].lower()}{message[1:]}"
