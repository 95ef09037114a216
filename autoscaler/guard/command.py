"""A probe of one's own: a command that prints how many tasks the worker holds."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import anyio

from autoscaler.guard.keeper import Work
from policies.model import Unavailable


@dataclass(frozen=True, slots=True)
class Command:
    """Runs `words`, without a shell.  Only exit code 0 and a number answer: a crash is never "idle"."""

    words: tuple[str, ...]
    seconds: float = 10.0
    """A command that takes longer is killed, and said nothing."""

    async def look(self) -> Work | Unavailable:
        """What the command says."""
        name = self.words[0]
        try:
            with anyio.fail_after(self.seconds):
                done = await anyio.run_process(
                    self.words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
                )
        except TimeoutError:
            return Unavailable(f"{name} took longer than {self.seconds:g} s")
        except OSError as error:
            return Unavailable(f"{name} cannot be run: {error.strerror}")
        said = done.stdout.strip()
        if done.returncode or not said.isdigit() or len(said) > 9:
            return Unavailable(
                f"{name}: exit code {done.returncode}, expected 0 and the number of tasks held"
            )
        return Work(int(said))
