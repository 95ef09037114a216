"""The image holds the daemon and nothing else, and does not run as root."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from threading import Thread

import pytest

from tests.deploy.repository import ROOT, document, instructions, text

DOCKERFILE = instructions(text("Dockerfile"))
STARTS = [number for number, (name, _) in enumerate(DOCKERFILE) if name == "FROM"]
BUILD, FINAL = DOCKERFILE[STARTS[0] : STARTS[-1]], DOCKERFILE[STARTS[-1] :]
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def every(stage, instruction):
    return [arguments for name, arguments in stage if name == instruction]


def pinned(lock):
    """{name: the line of its version and all its hashes} of a lock."""
    blocks = re.findall(r"^[A-Za-z0-9._-]+==.*(?:\n    --hash=\S+(?: \\)?)+", text(lock), re.MULTILINE)
    return {REQUIREMENT.match(block)[1]: block.rstrip("\\ ") for block in blocks}


def test_what_builds_is_not_what_runs():
    """Two stages on one base; the second takes the finished environment and runs nothing of ours."""
    assert len(STARTS) == 2
    bases = [arguments.split()[0] for arguments in every(DOCKERFILE, "FROM")]
    assert bases == ["python:3.11-slim"] * 2
    assert every(FINAL, "COPY") == ["--from=build /opt/autoscaler /opt/autoscaler"]
    assert not [command for command in every(FINAL, "RUN") if "pip" in command]


def test_only_the_base_lock_is_installed():
    """Every install is from a lock with hashes, or the project's wheel without its dependencies."""
    installs = [
        line for command in every(BUILD, "RUN") for line in command.split("&&") if " install " in line
    ]
    daemon = [line for line in installs if "--python /opt/autoscaler" in line]
    from_lock, wheel = daemon
    assert "--require-hashes" in from_lock
    assert from_lock.split()[-2:] == ["-r", "requirements.lock"]
    assert {"--no-deps", "--no-index"} <= set(wheel.split())
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert "[" not in " ".join(installs), "no extras"


def test_the_build_backend_is_the_locked_one():
    """deploy/requirements-build.lock repeats requirements-dev.lock: same versions, same hashes."""
    build, everything = pinned("deploy/requirements-build.lock"), pinned("requirements-dev.lock")
    assert "hatchling" in build
    assert build == {name: everything[name] for name in build}


def test_the_base_lock_holds_no_test_or_plot_library():
    """A dependency that moved to an extra must not stay in the image."""
    assert not {"hypothesis", "matplotlib", "moto", "mypy", "polars", "pytest"} & set(
        pinned("requirements.lock")
    )


def test_it_runs_as_a_numbered_user_other_than_root():
    """A platform that refuses root can only judge a number."""
    (user,) = every(FINAL, "USER")
    uid, gid = user.split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    after = [name for name, _ in FINAL[FINAL.index(("USER", user)) :]]
    assert "RUN" not in after
    assert "COPY" not in after
    assert document("ecs-task-definition.json")["containerDefinitions"][0]["user"] == user


def test_it_runs_the_daemon():
    assert every(FINAL, "ENTRYPOINT") == ['["autoscaler"]']
    assert every(FINAL, "CMD") == ['["run"]']


def test_the_build_context_holds_what_is_copied_and_nothing_else():
    """A secret that lies about in the working tree never reaches the builder."""
    rules = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for arguments in every(BUILD, "COPY") for source in arguments.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    assert not any(fnmatch("autoscaler.toml", rule) for rule in allowed)


def probe(port):
    """Runs the image's health check against a port of this machine."""
    (check,) = every(FINAL, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert (
        command
        == document("ecs-task-definition.json")["containerDefinitions"][0]["healthCheck"]["command"][1:]
    )
    code = command[-1].replace(":9275/", f":{port}/")
    return subprocess.run([sys.executable, *command[1:-1], code], capture_output=True, check=False).returncode


@pytest.mark.parametrize(("answer", "healthy"), [(200, True), (503, False)])
def test_the_health_check_believes_the_page(answer, healthy):
    """ECS and the image ask with the same command; a loop that does not tick is not healthy."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_):
            """Nobody wants to see it."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            assert (probe(server.server_port) == 0) is healthy
        finally:
            server.shutdown()
            thread.join()


def test_the_health_check_fails_where_nobody_answers():
    """A port that was free a moment ago."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    assert probe(port) != 0


BLOCKED_IMPORTS = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not in the base install", name=name)

BLOCKED, APART = set(sys.argv[1].split(",")), tuple(sys.argv[2].split(","))
sys.meta_path.insert(0, Refuse())
import autoscaler
names = [module.name for module in pkgutil.walk_packages(autoscaler.__path__, "autoscaler.", onerror=print)
         if not module.name.startswith(APART)
         and not module.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


NEEDS_AN_EXTRA = (
    "autoscaler.demo",
    "autoscaler.cli.candidates",
    "autoscaler.cli.audit_asked",
    "autoscaler.cli.audit_choices",
    "autoscaler.cli.auditing",
    "autoscaler.intake",
    "autoscaler.guard",
)
"""Imported only once its command has said which extra it needs."""


def test_the_daemon_needs_nothing_but_the_base_lock():
    """Every other module imports although the extras are out of reach."""
    base = set(pinned("requirements.lock")) | {"airflow-worker-autoscaler"}
    assert {"numpy", "pydantic-core"} <= base
    extra = {
        module
        for module, distributions in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in distributions} & base
    }
    assert {"polars", "hypothesis", "pytest"} <= extra
    command = [sys.executable, "-c", BLOCKED_IMPORTS, ",".join(sorted(extra)), ",".join(NEEDS_AN_EXTRA)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
