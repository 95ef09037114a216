"""The subcommand that puts a decision log through the code again."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from autoscaler.cli.common import EXIT_USAGE, JsonOption, app, fail, find_policies_here, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from autoscaler.core.controller import Controller
    from autoscaler.settings import Target
    from simulations.replay import Change

BESIDE_THE_TARGET = ("mode", "parallelism")
"""What a daemon's start record holds beside the target's own table."""
SIMULATED: dict[str, tuple[type, ...]] = {
    "slots": (int,),
    "policy": (dict,),
    "scale_in": (str, type(None)),
    "minimum": (int,),
    "maximum": (int,),
}
"""What of a simulation's start record makes its controller."""
LONG_LOG_BYTES = 20 * 2**20
"""Shorter logs end before a progress bar is worth a look."""


@app.command()
def replay(
    log: Annotated[
        Path,
        typer.Argument(
            help="The daemon's log, its records' file or a simulation's --log; .gz; - for a pipe."
        ),
    ],
    policy: Annotated[
        str | None,
        typer.Option(help="What another would have decided: a name, a TOML table, or FILE.toml[:TARGET]."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    show: Annotated[int, typer.Option(min=0, help="So many differences are shown, the first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Decide every decision of a log again: all the same, or where this version decides otherwise.

    With --policy: what that one would have asked for, given what was observed.
    Exit code 0 all the same, 1 there are differences, 2 the log cannot be used or has broken lines.
    Example: autoscaler replay records.jsonl
    Example: autoscaler replay records.jsonl --policy '{name = "mwaa", scale_in = "continuous"}'
    """
    find_policies_here()
    from simulations.replay import Replay
    from simulations.replay_command import Manner, run_replay

    again = Replay(_rebuilt, _change(policy) if policy is not None else None, target)
    with _opened(log) as stream:
        code = run_replay(again, stream, Manner(str(log), policy or "", show, as_json=as_json))
    raise typer.Exit(code)


def _rebuilt(config: Any, mode: str) -> Controller:
    """The controller of a start record, a daemon's or a simulation's.  Raises `ValueError`."""
    from dataclasses import replace

    from autoscaler.settings import Target
    from simulations.command import Options, controller_of

    if not isinstance(config, dict):
        raise ValueError(f"expected a table, got {type(config).__name__}")  # noqa: TRY004 - of the log
    if "trace" in config and isinstance(config.get("target"), dict) and config["target"]:
        config = config["target"]
    if "trace" not in config:
        own = {name: value for name, value in config.items() if name not in BESIDE_THE_TARGET}
        mode = str(config.get("mode") or mode or "act")
        return _configured(_valid(Target, own), mode, config.get("parallelism"))
    if missing := [name for name in SIMULATED if name not in config]:
        raise ValueError(f"{missing[0]} is missing")
    for name, kinds in SIMULATED.items():
        if type(config[name]) not in kinds:
            raise ValueError(f"{name}: expected {kinds[0].__name__}, got {type(config[name]).__name__}")
    controller = controller_of(Options(trace=Path(), **{name: config[name] for name in SIMULATED}))
    return replace(controller, observing=False)


def _configured(target: Target, mode: str, parallelism: int | None) -> Controller:
    from autoscaler.controllers import controller_of
    from autoscaler.settings import Airflow, Mode, Settings

    # Built without the environment and the other sections: nothing is read or written.
    settings = Settings.model_construct(
        mode=Mode(mode), targets={"default": target}, airflow=Airflow(parallelism=parallelism)
    )
    return controller_of(target, settings)


def _valid(shape: type[Target], table: Any) -> Target:
    from pydantic import ValidationError

    try:
        return shape.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def _change(text: str) -> Change:
    """What puts another policy, or another configuration's decisions, in the place of the recorded."""
    from autoscaler.cli.candidates import setting_in
    from autoscaler.settings import Target
    from policies.catalog import PolicyError, build
    from simulations.replay import with_policy

    if (setting := setting_in(text)) is not None:
        configured = _configured(_valid(Target, setting), "observe", None)
        return lambda _: configured
    wanted = policy_of(text)
    try:
        build(wanted, 1)
    except PolicyError as error:
        fail(f"policy: {error}", EXIT_USAGE)
    return lambda recorded: with_policy(recorded, build(wanted, recorded.watch.slots_per_worker))


@contextmanager
def _opened(log: Path) -> Iterator[BinaryIO]:
    """The log, unpacked, with a bar where a person waits for a long one; ends the command if unreadable."""
    import gzip
    import zlib

    if str(log) == "-":
        yield sys.stdin.buffer
        return
    try:
        with log.open("rb") as file, _progress(log.stat().st_size) as followed:
            stream = followed(file)
            if not log.name.endswith(".gz"):
                yield stream
                return
            with gzip.open(stream, "rb") as unpacked:
                yield cast("BinaryIO", unpacked)
    except (OSError, EOFError, zlib.error) as error:
        fail(f"{log}: cannot be read: {getattr(error, 'strerror', None) or error}", EXIT_USAGE)


@contextmanager
def _progress(size: int) -> Iterator[Callable[[BinaryIO], BinaryIO]]:
    from rich.console import Console

    console = Console(stderr=True)
    if size < LONG_LOG_BYTES or not console.is_terminal:
        yield lambda file: file
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        yield lambda file: bar.wrap_file(file, total=size, description="replaying")
