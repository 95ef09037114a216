"""`autoscaler pause`, `resume` and `override` against a daemon's pages on a real port."""

import json
import re

import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner

from autoscaler.cli import app
from autoscaler.http_server import served
from autoscaler.pages import application
from tests.orders.test_desk import NOON, TOKEN, Daemon


@pytest.fixture
def daemon(tmp_path):
    """Its pages are at `daemon.url`."""
    daemon = Daemon(tmp_path / "orders.json")
    pages = application(daemon.telemetry, daemon.desk)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(pages, "127.0.0.1", 0)) as daemon.url,
    ):
        yield daemon


def told(daemon, *words, token=TOKEN, url=None):
    environment = {"AUTOSCALER__ORDERS__TOKEN": token}
    command = [*words, "--url", url or daemon.url]
    return CliRunner().invoke(app, command, env=environment)


def test_an_order_is_given_shown_and_taken_back(daemon):
    """The status has it before the next look, and `explain` beside the decision."""
    given = told(
        daemon, "pause", "--target", "etl", "--only", "in", "--for", "10m", "--why", "upgrade", "--by", "a"
    )
    assert (given.exit_code, given.stdout) == (
        0,
        "etl: paused, in, until 2027-01-15 08:10:00 UTC, by a: upgrade\n",
    )
    daemon.ticks(load=0)
    status = told(daemon, "status").stdout
    assert "ordered etl: paused, in, until 2027-01-15 08:10:00 UTC, by a: upgrade" in status
    explained = told(daemon, "explain", "--target", "etl").stdout
    assert "ordered: paused, in, until 2027-01-15 08:10:00 UTC, by a: upgrade" in explained
    assert told(daemon, "resume").stdout == "etl: no orders\nml: no orders\n"


def test_other_bounds_are_given_and_ended(daemon):
    given = told(daemon, "override", "--min", "4", "--max", "9", "--for", "1.5h", "--by", "", "--json")
    override = {
        "min_workers": 4,
        "max_workers": 9,
        "given_at": NOON,
        "until": NOON + 5400,
        "by": "",
        "why": "",
    }
    assert json.loads(given.stdout)["targets"]["ml"]["orders"] == {"override": override}
    shown = told(daemon, "override", "--max", "9", "--for", "30s", "--by", "").stdout
    assert "etl: at most 9 workers, until 2027-01-15 08:00:30 UTC\n" in shown
    assert told(daemon, "override", "--end").stdout == "etl: no orders\nml: no orders\n"


def test_whoever_gives_no_name_is_named_by_user_and_host(daemon):
    told(daemon, "pause")
    assert re.fullmatch(r"\S+@\S+", daemon.book.of("etl", NOON).pause.by)


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["override"], 0, "give --min or --max, and --for; or --end alone"),
        (["override", "--end", "--min", "1"], 0, "give --min or --max, and --for; or --end alone"),
        (["override", "--min", "1"], 0, "give --for: other bounds must end some time, such as --for 3h"),
        (
            ["override", "--min", "9", "--max", "1", "--for", "1h"],
            400,
            "min_workers 9 is above max_workers 1",
        ),
        (["pause", "--target", "none"], 404, "there is no target of that name; try etl, ml"),
    ],
)
def test_a_wrong_order_ends_with_a_line(daemon, words, status, why):
    refused = told(daemon, *words)
    place = f"{daemon.url}/{words[0]}: {status}: " if status else ""
    assert (refused.exit_code, refused.stderr) == (1 if status else 2, f"autoscaler: {place}{why}\n")


@pytest.mark.parametrize("time", ["", "1", "h", "-1h", "0m", "1w", "1e9s", "99999999999d"])
def test_a_time_has_a_unit(daemon, time):
    refused = told(daemon, "pause", "--for", time)
    assert refused.exit_code == 2
    assert "is no time" in refused.stderr


def test_the_token_comes_from_the_environment_or_a_file(daemon, tmp_path):
    """Never from the command line, where every process sees it; never printed."""
    refused = told(daemon, "pause", token="")
    why = "an order needs the daemon's token: set AUTOSCALER__ORDERS__TOKEN, or give --token-file"
    assert (refused.exit_code, refused.stderr) == (2, f"autoscaler: {why}\n")
    secret = tmp_path / "token"
    assert "cannot be read: No such file" in told(daemon, "pause", "--token-file", str(secret)).stderr
    secret.write_text("two\nlines")
    assert (
        "printable ASCII characters in one line" in told(daemon, "pause", "--token-file", str(secret)).stderr
    )
    secret.write_text(f"{TOKEN}\n")
    assert told(daemon, "pause", "--token-file", str(secret), token="").exit_code == 0
    wrong = told(daemon, "pause", token="wrong-horse-battery")
    why = "401: the token is not the one of orders.token"
    assert (wrong.exit_code, wrong.stderr) == (1, f"autoscaler: {daemon.url}/pause: {why}\n")


def test_where_no_daemon_answers_the_line_says_so(daemon):
    refused = told(daemon, "pause", url="http://127.0.0.1:9")
    assert refused.exit_code == 1
    assert "no daemon answers at http://127.0.0.1:9/pause" in refused.stderr


def test_the_token_follows_no_redirect(daemon):
    """Whoever answers elsewhere does not get it."""

    async def moved(scope, receive, send):
        headers = [(b"location", f"{daemon.url}/pause".encode())]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(moved, "127.0.0.1", 0)) as url,
    ):
        assert told(daemon, "pause", url=url).exit_code == 1
    assert daemon.book.of("etl", NOON) is None
