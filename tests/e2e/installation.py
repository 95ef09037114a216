"""A real Airflow in an environment of its own: `.airflow/RELEASE` beside the project's `.venv`."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class InstallationError(Exception):
    """Why there is no Airflow to test with."""


def installed(release: str) -> Path:
    """The folder of Airflow's programs, installed first unless the locked versions are there already."""
    lock = Path(__file__).with_name(f"requirements-{release}.txt")
    home = ROOT / ".airflow" / release
    programs, mark = home / "bin", home / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return programs
    shutil.rmtree(home, ignore_errors=True)
    for command in _commands(home, lock):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-5:])
            raise InstallationError(f"Airflow cannot be installed: {command[0]}: {said}")
    mark.write_text(wanted)
    return programs


def _commands(home: Path, lock: Path) -> list[list[str]]:
    # Only what is imported is compiled, when it is: that is a fraction of Airflow.
    if uv := shutil.which("uv"):
        install = [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [*install, "--require-hashes", "-r", str(lock)],
        ]
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [sys.executable, "-m", "venv", str(home)],
        # The lock is complete: nothing is left to resolve.
        [*pip, "--no-compile", "--no-deps", "--require-hashes", "-r", str(lock)],
    ]
