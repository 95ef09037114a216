"""What becomes of the daemon when its lines find no taker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import signal, sys
from autoscaler.telemetry import configure_logging
import structlog
asked = []
signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
configure_logging("json", sys.stdout)
sys.stdin.readline()
for number in range(3):
    structlog.get_logger().info("decision", number=number)
print(asked, file=sys.stderr)
"""


def logging_to(output):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reader_that_is_gone_asks_for_a_stop_once():
    """`autoscaler run | head` ends like a SIGTERM, without a traceback."""
    reader, writer = os.pipe()
    process = logging_to(writer)
    os.close(writer)
    os.close(reader)
    _, told = process.communicate("go\n", timeout=30)
    assert (process.returncode, told) == (0, "[15]\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_costs_lines_and_not_the_daemon():
    """Nothing is raised, and nobody is asked to stop."""
    with Path("/dev/full").open("w") as full:
        process = logging_to(full)
    _, told = process.communicate("go\n", timeout=30)
    assert told.splitlines()[0] == "[]"
