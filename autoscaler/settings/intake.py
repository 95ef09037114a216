"""The broker over which Airflow's Celery workers are asked what they hold and told to stop their intake."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PositiveFloat, SecretStr, model_validator

from autoscaler.settings.section import Name, Section


def _with_a_place(pattern: str) -> str:
    if pattern.count("{host}") != 1:
        raise ValueError("it should hold {host} once, in place of a name of the worker, as in celery@{host}")
    return pattern


class Celery(Section):
    """Remote control of the workers over Redis or RabbitMQ.  Needs the extra `celery`."""

    broker_url: SecretStr | None = None
    """As in Airflow's `[celery] broker_url`; several, separated by `;`, are tried in turn.  A secret."""
    broker_url_file: str | None = None
    """A file that holds the URL."""
    transport_options: dict[str, Any] = Field(default_factory=dict)
    """As in Airflow's `[celery_broker_transport_options]`, such as `{global_keyprefix = "airflow"}`."""
    control_exchange: Name = "celery"
    """Celery's `control_exchange`."""
    node_name: Annotated[Name, AfterValidator(_with_a_place)] = "celery@{host}"
    """How the workers call themselves; `{host}` is their DNS name, address, task or container id."""
    answer_seconds: PositiveFloat = 1.0
    """How long the workers' answers are waited for; a worker that is silent for longer is not idle."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.broker_url is not None and self.broker_url_file is not None:
            raise ValueError("give one of broker_url and broker_url_file, not both")
        return self

    @property
    def has_broker(self) -> bool:
        """Whether either way to name the broker is used."""
        return bool(self.broker_url or self.broker_url_file)
