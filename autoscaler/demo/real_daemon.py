"""The real daemon as a process of its own, configured by a file as anywhere, and watched by its pages."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import anyio

from autoscaler.demo.children import Child, Children, DemoError
from autoscaler.demo.script import Script

TARGET, CLUSTER, SERVICE = "demo", "demo", "workers"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
PAGE_SECONDS = 5.0
POLL_SECONDS = 0.1
RECORDS_ASKED = 20

_open = build_opener(ProxyHandler({})).open  # a proxy has no business on the way to this machine


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of the daemon, as its record tells it."""

    at: float
    """Unix seconds."""
    current: int | None
    """The desired count it saw; None: unknown."""
    desired: int | None
    """The desired count it set; None: it wrote nothing."""
    reason: str
    trail: str
    """Every stage in words."""

    @property
    def moves(self) -> bool:
        """Whether it changes the size."""
        return self.desired is not None and self.desired != self.current


@dataclass(slots=True)
class RealDaemon:
    """A running daemon."""

    child: Child
    pages: str
    """The base URL of its pages."""
    _told_at: float = float("-inf")

    async def news(self) -> list[Choice]:
        """The decisions since it was last asked, oldest first.  Raises `DemoError` if it has ended."""
        self.child.require_alive()
        url = f"{self.pages}/decisions?target={TARGET}&limit={RECORDS_ASKED}"
        try:
            text = await anyio.to_thread.run_sync(_read, url, abandon_on_cancel=True)
        except OSError:
            self.child.require_alive()
            return []  # busy: next time
        records = map(json.loads, text.splitlines())
        choices = [
            choice_of(record)
            for record in records
            if record["kind"] == "decision" and record["at"] > self._told_at
        ]
        if choices:
            self._told_at = choices[-1].at
        return choices


@asynccontextmanager
async def running_daemon(
    children: Children, folder: Path, script: Script, database_url: str, ecs_url: str
) -> AsyncIterator[RealDaemon]:
    """`autoscaler run` on a configuration written into `folder`.  Raises `DemoError`."""
    path, log = folder / "autoscaler.toml", folder / "daemon.log"
    await anyio.Path(path).write_text(configuration(script, database_url, ecs_url))
    command = [sys.executable, "-m", "autoscaler", "run", "--config", str(path)]
    async with children.running("the daemon", command, log, stop_seconds=STOP_SECONDS) as child:
        yield RealDaemon(child, await _listening(child))


def configuration(script: Script, database_url: str, ecs_url: str) -> str:
    """The daemon's configuration file.

    The default settings but for the places, the bounds, and times short enough to watch.
    """
    return f"""\
mode = "act"

[airflow]
database_url = {_quoted(database_url)}

[aws]
region = "us-east-1"
endpoint_url = {_quoted(ecs_url)}

[http]
port = 0

[log]
format = "json"

[targets.{TARGET}]
cluster = "{CLUSTER}"
service = "{SERVICE}"
slots_per_worker = {script.slots_per_worker}
min_workers = {script.min_workers}
max_workers = {script.max_workers}
interval_seconds = {script.interval_seconds}
policy = {{ name = "mwaa", idle_seconds = {script.idle_seconds} }}

[targets.{TARGET}.guards]
warm_up_seconds = {script.warm_up_seconds}
"""


def choice_of(record: Mapping[str, Any]) -> Choice:
    """What a decision record says."""
    decision, trail = record["decision"], record["decision"]["trail"]
    return Choice(
        at=record["at"],
        current=record["observation"]["capacity"].get("desired"),
        desired=decision["desired"],
        reason=trail[-1]["reason"],
        trail=" > ".join(map(_stage, trail)),
    )


def _stage(stage: Mapping[str, Any]) -> str:
    workers, note = stage["workers"], f" ({stage['note']})" if stage["note"] else ""
    shown = f"{workers:.3g}" if isinstance(workers, float | int) else workers
    return f"{stage['stage']} {shown} {stage['reason']}{note}"


async def _listening(child: Child) -> str:
    deadline = anyio.current_time() + START_SECONDS
    while anyio.current_time() < deadline:
        child.require_alive()
        for line in (await anyio.Path(child.log).read_text()).splitlines():
            if '"pages"' in line and (event := json.loads(line)).get("event") == "running":
                return str(event["pages"])
        await anyio.sleep(POLL_SECONDS)
    raise DemoError(f"the daemon does not say where its pages are within {START_SECONDS:g} s")


def _read(url: str) -> str:
    with _open(url, timeout=PAGE_SECONDS) as answer:
        text: str = answer.read().decode()
        return text


def _quoted(text: str) -> str:
    return json.dumps(text)  # a JSON string is a TOML string
