"""The `autoscaler guard` command beside a real worker, as ECS would run it: an agent, processes, SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.guard.settings import PREFIX, GuardConfigurationError, load
from tests.guard.agent_server import agent_server
from tests.intake.brokers import redis
from tests.intake.celery_workers import Tasks, celery_workers, until

POOL = "celery@sidecar-test:ForkPoolWorker"


class Sidecar:
    """The guard's process."""

    def __init__(self, log, process) -> None:
        self._log, self.process = log, process

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def said(self, event: str) -> int:
        return sum(line["event"] == event for line in self.lines())

    def health(self) -> tuple[int, str]:
        until(lambda: self.said("guarding"), f"the guard to listen: {self._log.read_text()}")
        pages = next(line["pages"] for line in self.lines() if line["event"] == "guarding")
        try:
            with urllib.request.urlopen(f"{pages}/healthz", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def sidecar(folder, agent_url: str, **settings: str):
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOSCALER", "ECS_"))}
    options = {"PORT": "0", "POLL_SECONDS": "0.1", "IDLE_SECONDS": "1", "POOL_PATTERN": POOL, **settings}
    environment = {f"{PREFIX}{name}": value for name, value in options.items()}
    path = folder / "guard.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "autoscaler", "guard"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**own, "ECS_AGENT_URI": agent_url, **environment},
        )
    try:
        yield Sidecar(path, process)
    finally:
        process.kill()
        process.wait()


def test_beside_a_real_worker(tmp_path):
    """Not healthy before it is protected, protected while it works, released when idle, ended by SIGTERM."""
    with agent_server() as agent, sidecar(tmp_path, agent.url) as guard:
        agent.silence.clear()
        assert guard.health() == (503, "the task is not protected yet\n")
        agent.silence.set()
        until(lambda: guard.health()[0] == 200, "the guard to be healthy")
        assert agent.protected
        with redis() as broker, celery_workers(broker.url, ("sidecar-test",), tmp_path):
            tasks = Tasks(broker.url, tmp_path)
            until(lambda: not agent.protected, "an idle worker to be let go")
            task = tasks.send()
            until(lambda: agent.protected, "a busy worker to be protected")
            assert not task.ended
            task.end()
            until(lambda: not agent.protected, "the worker to be let go again")
            tasks.close()
        until(lambda: agent.protected, "doubt to protect: the worker is gone")
        guard.process.send_signal(signal.SIGTERM)
        assert guard.process.wait(20) == 0
        assert agent.protected  # what a guard leaves behind is for ECS to end
        assert guard.said("stopping") == 1


def test_an_agent_that_is_missing_is_said_in_one_line(tmp_path):
    with sidecar(tmp_path, "") as guard:
        assert guard.process.wait(20) == 2
    (line,) = (tmp_path / "guard.log").read_text().splitlines()
    assert line.startswith(
        "autoscaler: environment: ECS_AGENT_URI is missing: ECS sets it in tasks on Fargate"
    )
    assert line.endswith("elsewhere set AUTOSCALER_GUARD__AGENT_URL")


AGENT = {"ECS_AGENT_URI": "http://169.254.170.2/api/4f1c"}


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("IDEL_SECONDS", "1", "AUTOSCALER_GUARD__IDEL_SECONDS is not a setting; expected one of"),
        ("IDLE_SECONDS", "soon", "AUTOSCALER_GUARD__IDLE_SECONDS = 'soon': input should be a valid number"),
        ("EXPIRES_MINUTES", "2881", "less than or equal to 2880"),
        ("AGENT_URL", "file:///etc/passwd", "expected http://HOST/PATH"),
        ("AGENT_URL", "http://user:s3cret@host/", "expected http://HOST/PATH"),
        ("POOL_PATTERN", "(", "no regular expression"),
        ("PROBE", "command", "probe = command and command go together"),
        ("COMMAND", '["/probe"]', "probe = command and command go together"),
        ("COMMAND", "/probe", "expected JSON"),
        ("CELERY__NODE_NAME", "celery@%h", "it should hold {host} once"),
        ("CELERY__BROKER_URLS", "redis://:s3cret@b", "AUTOSCALER_GUARD__CELERY__BROKER_URLS"),
    ],
)
def test_a_wrong_setting_is_named(setting, value, said):
    with pytest.raises(GuardConfigurationError) as raised:
        load({**AGENT, f"{PREFIX}{setting}": value})
    assert said in str(raised.value)


def test_a_secret_is_never_shown():
    broker = {
        f"{PREFIX}CELERY__BROKER_URL": "redis://:s3cret@b",
        f"{PREFIX}CELERY__BROKER_URL_FILE": "/s3cret",
    }
    with pytest.raises(GuardConfigurationError, match="not both") as raised:
        load({**AGENT, **broker})
    assert "s3cret" not in str(raised.value)
    del broker[f"{PREFIX}CELERY__BROKER_URL_FILE"]
    settings = load({**AGENT, **broker})
    assert settings.celery.has_broker
    assert "s3cret" not in repr(settings)


def test_the_settings_are_printed():
    done = CliRunner().invoke(app, ["guard", "--settings"])
    assert done.exit_code == 0
    assert "AUTOSCALER_GUARD__IDLE_SECONDS [60]\n    So long the worker must be idle" in done.output
    assert "AUTOSCALER_GUARD__CELERY__BROKER_URL\n" in done.output


def test_a_guard_of_an_sqs_worker_needs_no_broker_library():
    """The extra `celery` is for brokers with remote control."""
    program = "import sys, autoscaler.guard.start, autoscaler.guard.settings; print('kombu' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
