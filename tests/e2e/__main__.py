"""`python -m tests.e2e`: the daemon sizes the workers of a real Airflow.  Exit code 1 if anything is lost."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import anyio

from autoscaler.demo.children import DemoError, children, own_environment
from tests.e2e import release_2, release_3
from tests.e2e.forecast import HEADER, forecast, measured
from tests.e2e.installation import InstallationError, installed
from tests.e2e.scene import Scene, running_scene
from tests.e2e.story import with_accidents, without_accidents, without_the_protocol

RELEASES = {"3": release_3.Release, "2": release_2.Release}
MOST_SECONDS = 1200.0
"""Whatever hangs, it ends."""
EXIT_INTERRUPTED = 130


async def play(number: str, folder: Path, programs: Path, started_at: float) -> list[str]:
    """What failed.  Raises `DemoError` where it cannot be played."""
    release = RELEASES[number](folder)
    with own_environment(), children() as family:
        async with running_scene(family, folder, programs, release, started_at) as scene:
            try:
                with anyio.fail_after(MOST_SECONDS):
                    await story(scene, folder, release.version)
            except (DemoError, TimeoutError) as error:
                scene.failures.append(str(error) or f"not over after {MOST_SECONDS:g} s")
            return scene.failures


async def story(scene: Scene, folder: Path, version: str) -> None:
    """From the first worker to the last."""
    await scene.fleet.until_ready(1)
    scene.say("Airflow runs, and its first worker")
    await with_accidents(scene)
    await without_accidents(scene)
    await compared(scene, folder, version)
    await without_the_protocol(scene)


async def compared(scene: Scene, folder: Path, version: str) -> None:
    """Prints what was measured beside what the simulator would have forecast."""
    scene.say(f"measured, and the simulator's forecast for the same tasks:\n{'':24}{HEADER}")
    for run in scene.runs:
        print(f"  {run.name:10} measured   {await measured(scene.airflow, run, folder)}")
        print(f"  {'':10} forecast   {await forecast(run, folder, version)}", flush=True)


def main() -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    parser.add_argument("--airflow", choices=tuple(RELEASES), default="3", help="which release; default: 3")
    parser.add_argument("--keep", action="store_true", help="keep the logs although all went well")
    arguments = parser.parse_args()
    started_at = time.time()
    folder = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))  # short: sockets are in it
    folder.chmod(0o755)
    try:
        programs = installed(arguments.airflow)
        took = time.time() - started_at
        print(f"{took:6.1f} s  Airflow {arguments.airflow} is installed; logs are in {folder}", flush=True)
        failures = anyio.run(play, arguments.airflow, folder, programs, started_at)
    except (DemoError, InstallationError) as error:
        failures = [str(error)]
    except KeyboardInterrupt:
        print(f"\ninterrupted; everything is stopped ({folder})", file=sys.stderr)
        return EXIT_INTERRUPTED
    if failures:
        print(f"\nFAILED ({folder}):\n" + "\n".join(f"  {failure}" for failure in failures), file=sys.stderr)
        return 1
    print(f"\nPASSED in {time.time() - started_at:.0f} s")
    if not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
