"""`make audit`: findings fail, silence is told, and nothing else passes for well."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.deploy.repository import ROOT

specification = importlib.util.spec_from_file_location("audit_of_locks", ROOT / "deploy" / "audit.py")
audit = importlib.util.module_from_spec(specification)
specification.loader.exec_module(audit)


@pytest.fixture
def database():
    """osv.dev as far as we ask it: (its URL, what it was asked, what it shall say)."""
    asked, says = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = says[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_):
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked, says
        server.shutdown()


PACKAGES = [("anyio", "4.0"), ("pydantic", "2.0")]


def test_each_vulnerability_of_each_package_is_found(database):
    """By the answer's order, which is the questions'."""
    url, asked, says = database
    says.append((200, {"results": [{}, {"vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]}]}))
    assert list(audit.advisories(PACKAGES, url)) == [
        (("pydantic", "2.0"), "PYSEC-1"),
        (("pydantic", "2.0"), "GHSA-2"),
    ]
    assert asked[0]["queries"][0] == {"package": {"name": "anyio", "ecosystem": "PyPI"}, "version": "4.0"}


@pytest.mark.parametrize(
    "answer",
    [
        (500, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, {"results": []}),
        (200, {"results": [{}, {"vulns": [{}]}]}),
        (200, {"results": [{}, 7]}),
        (200, {}),
    ],
    ids=range(8),
)
def test_an_answer_that_is_none_is_no_all_clear(database, answer):
    """A proxy's page, a cut answer, an empty one."""
    url, _, says = database
    says.append(answer)
    with pytest.raises(audit.UnreachableError, match=r"127\.0\.0\.1"):
        list(audit.advisories(PACKAGES, url))


def test_nobody_to_ask_is_no_all_clear():
    """Such as a machine that reaches a package mirror and nothing else."""
    with pytest.raises(audit.UnreachableError, match="refused"):
        list(audit.advisories(PACKAGES, "http://127.0.0.1:1/"))


def test_everything_in_the_lock_files_is_seen():
    """With versions, without hashes and markers."""
    locked = {lock.name: dict(audit.pinned(lock.read_text())) for lock in audit.LOCKS}
    assert {"anyio", "pydantic", "uvicorn"} <= set(locked["requirements.lock"])
    assert {"pytest", "polars"} <= set(locked["requirements-dev.lock"])
    assert set(locked["requirements.lock"]) <= set(locked["requirements-dev.lock"])
    assert audit.pinned("uvloop==0.2 ; sys_platform != 'win32' \\\n    --hash=sha256:0\n") == [
        ("uvloop", "0.2")
    ]


def test_all_licences_are_permissive():
    """Of everything that is installed here from the lock files."""
    names = {name for lock in audit.LOCKS for name, _ in audit.pinned(lock.read_text())}
    assert list(audit.strange_licences(sorted(names))) == []


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT AND PSF-2.0", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-or-later", False),
        ("LGPL-2.1", False),
        ("Limited, Proprietary", False),
    ],
)
def test_what_counts_as_permissive(tmp_path, monkeypatch, licence, permissive):
    """One strange term among those that all hold is enough; of alternatives one good one is."""
    folder = tmp_path / "odd_licence-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: odd-licence\nVersion: 1.0\nLicense-Expression: {licence}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert (not list(audit.strange_licences(["odd-licence", "not-installed"]))) is permissive
