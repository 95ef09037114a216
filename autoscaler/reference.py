"""The configuration explained from the settings themselves: table, commented example, JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from autoscaler.metrics import PREFIX, TABLE
from autoscaler.settings import ENVIRONMENT_PREFIX, CloudwatchMetric, Settings, SourceChoice

EXAMPLES = {
    "targets.NAME.cluster": "production",
    "targets.NAME.service": "airflow-worker",
    "airflow.database_url": "postgresql://autoscaler@airflow-db.internal/airflow",
}
"""What the commented example shows for keys that must be given."""

NO_DEFAULT: Any = object()


class Setting(NamedTuple):
    """One key of the configuration."""

    key: str
    default: Any
    """`NO_DEFAULT` where it must be given."""
    meaning: str

    @property
    def section(self) -> str:
        """The TOML table it stands in; empty for the top."""
        return self.key.rpartition(".")[0]


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every setting, sections flattened; `NAME` stands for a target's name."""
    for name, field in model.model_fields.items():
        key, meaning = f"{prefix}{name}", " ".join((field.description or "").split())
        section = _section(field.annotation)
        if section is not None:
            yield from fields(section, f"{key}.NAME." if name == "targets" else f"{key}.")
        elif field.is_required():
            yield Setting(key, NO_DEFAULT, meaning)
        else:
            yield Setting(key, field.get_default(call_default_factory=True), meaning)


def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file."""
    return Settings.model_json_schema()


def settings_table() -> str:
    """The Markdown table of all settings."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for setting in fields():
        default = "required" if setting.default is NO_DEFAULT else f"`{toml(setting.default)}`"
        rows.append(
            f"| `{setting.key}` | {'none' if setting.default is None else default} | {setting.meaning} |"
        )
    return "\n".join(rows)


def metrics_table() -> str:
    """The Markdown table of all metrics."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in TABLE:
        labels = ", ".join(metric.labels) or "none"
        rows.append(
            f"| `{PREFIX}_{metric.name}` | {metric.kind.__name__.lower()} | {labels} | {metric.meaning} |"
        )
    return "\n".join(rows)


def example() -> str:
    """A configuration file to start from: what must be given is set, the rest are comments."""
    lines = [
        "# Autoscaler for Airflow's Celery workers on ECS.  A daemon with this file only observes.",
        f"# Any key can come from the environment too: {ENVIRONMENT_PREFIX}TARGETS__DEFAULT__MAX_WORKERS=20",
    ]
    section = ""
    for setting in fields():
        if setting.section != section:
            section = setting.section
            header = f"[{section.replace('NAME', 'default')}]"
            optional = section == "cloudwatch"
            lines += ["", f"# {header}" if optional else header]
        name = setting.key.rpartition(".")[2]
        given = setting.key in EXAMPLES
        value = EXAMPLES.get(setting.key, setting.default)
        shown = "..." if value is None or value is NO_DEFAULT else toml(value)
        lines += [f"# {setting.meaning}", f"{'' if given else '# '}{name} = {shown}"]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A default in TOML's notation."""
    match value:
        case None:
            return ""
        case SecretStr():
            return json.dumps("secret")
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:g}"
        case str():
            return json.dumps(str(value))
        case SourceChoice():
            return toml(value.use)
        case list() | tuple():
            return f"[{', '.join(toml(each) for each in value)}]"
        case dict():
            return f"{{{', '.join(f'{name} = {toml(each)}' for name, each in value.items())}}}"
        case _:
            return toml(to_jsonable_python(value))


def _section(annotation: Any) -> type[BaseModel] | None:
    """The nested model of a field; lists and single metrics are values."""
    if getattr(annotation, "__origin__", None) is tuple or annotation == CloudwatchMetric | None:
        return None
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def refreshed(readme: str) -> str:
    """A README with the tables between its markers made anew.  Raises `ValueError` if a marker is missing."""
    for name, table in (("settings", settings_table()), ("metrics", metrics_table())):
        opening, closing = re.search(rf"<!-- {name}:.*-->\n", readme), f"<!-- /{name} -->"
        if opening is None or closing not in readme:
            raise ValueError(f"the README has no place for the table of {name}")
        readme = f"{readme[: opening.end()]}{table}\n{readme[readme.index(closing) :]}"
    return readme
