"""Subcommands that give a running daemon orders: pause, resume, override."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from autoscaler.cli.common import DEFAULT_URL, EXIT_USAGE, JsonOption, UrlOption, app, fail

TOKEN_VARIABLE = "AUTOSCALER__ORDERS__TOKEN"  # noqa: S105 - its name
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> float:
    """`90s`, `30m`, `2h`, `1d`: seconds.  Raises `typer.BadParameter`."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])", text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no time: expected such as 90s, 30m, 2h or 1d")
    return float(found[1]) * SECONDS[found[2]]


TargetOption = Annotated[str | None, typer.Option("--target", help="Only this target; else all.")]
ForOption = Annotated[
    float | None,
    typer.Option("--for", parser=seconds_of, metavar="TIME", help="It ends then: 90s, 30m, 2h, 1d."),
]
WhyOption = Annotated[str, typer.Option("--why", help="Shown wherever the order is.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who orders it; else your user name.")]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="AUTOSCALER__ORDERS__TOKEN_FILE",
        help=f"A file that holds the daemon's token; else the variable {TOKEN_VARIABLE}.",
    ),
]


@app.command()
def pause(
    only: Annotated[Literal["in", "out"] | None, typer.Option("--only", help="One way; else both.")] = None,
    target: TargetOption = None,
    for_: ForOption = None,
    why: WhyOption = "",
    by: ByOption = None,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the size as it is, until it is resumed or for a time; it goes on observing and explaining.

    Example: autoscaler pause --only in --for 2h --why "database upgrade"
    """
    _send(
        url,
        "pause",
        token_file,
        by,
        {"target": target, "way": only or "both", "seconds": for_, "why": why},
        as_json=as_json,
    )


@app.command()
def resume(
    target: TargetOption = None,
    why: WhyOption = "",
    by: ByOption = None,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a pause.

    Example: autoscaler resume --target etl
    """
    _send(url, "resume", token_file, by, {"target": target, "why": why}, as_json=as_json)


@app.command()
def override(
    minimum: Annotated[int | None, typer.Option("--min", min=0, help="Never fewer workers.")] = None,
    maximum: Annotated[int | None, typer.Option("--max", min=0, help="Never more.")] = None,
    for_: ForOption = None,
    end: Annotated[bool, typer.Option("--end", help="The configured bounds again, now.")] = False,
    target: TargetOption = None,
    why: WhyOption = "",
    by: ByOption = None,
    url: UrlOption = DEFAULT_URL,
    token_file: TokenFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put other bounds in place of the configured ones for a time.

    Example: autoscaler override --min 20 --for 3h --why "month's end"
    """
    bounded = minimum is not None or maximum is not None
    if end is (bounded or for_ is not None):
        fail("give --min or --max, and --for; or --end alone", EXIT_USAGE)
    if bounded and for_ is None:
        fail("give --for: other bounds must end some time, such as --for 3h", EXIT_USAGE)
    order = {"target": target, "min_workers": minimum, "max_workers": maximum, "seconds": for_, "why": why}
    _send(url, "override", token_file, by, order, as_json=as_json)


def _send(
    url: str, kind: str, token_file: Path | None, by: str | None, body: dict[str, Any], *, as_json: bool
) -> None:
    from autoscaler.asking import UnreachableError
    from autoscaler.explain import order, print_orders

    body |= {"by": _user() if by is None else by}
    try:
        print_orders(order(url, kind, body, _token(token_file)), as_json=as_json)
    except UnreachableError as error:
        fail(str(error))


def _user() -> str:
    import getpass
    import socket

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"[:100]


def _token(file: Path | None) -> str:
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            fail(f"an order needs the daemon's token: set {TOKEN_VARIABLE}, or give --token-file", EXIT_USAGE)
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            fail(f"--token-file {file}: cannot be read: {why}", EXIT_USAGE)
    if not token.isascii() or not token.isprintable() or not token:
        fail("the token should be printable ASCII characters in one line", EXIT_USAGE)
    return token
