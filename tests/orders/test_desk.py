"""Orders over HTTP: who may give them, what is taken, what is refused and how."""

import io
import json
from dataclasses import replace

import httpx
import pytest
from prometheus_client import generate_latest

from autoscaler.core.alarms import Watch
from autoscaler.core.budget import Budget
from autoscaler.core.controller import Controller
from autoscaler.core.guards import Bounds, GuardChain
from autoscaler.orders.book import OrderBook
from autoscaler.orders.file import OrdersFile
from autoscaler.orders.pages import MOST_BYTES, Desk
from autoscaler.orders.token import fixed, from_file
from autoscaler.pages import application
from autoscaler.ports import Tick
from autoscaler.telemetry import Telemetry, configure_logging
from policies.model import Capacity, Demand, Observation
from policies.mwaa import Mwaa
from policies.orders import Orders, Override, Pause, Way

NOON = 1_800_000_000.0
TOKEN = "correct-horse-battery"
KNOWN = fixed(TOKEN)
CONTROLLER = Controller(Mwaa(5), GuardChain(Bounds(1, 10)), Watch(5, 10))


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Daemon:
    """Two targets, their pages and what was printed, with a clock moved by hand."""

    def __init__(self, path, token=KNOWN):
        self.now, self.printed = NOON, io.StringIO()
        configure_logging("json", self.printed)
        self.telemetry = Telemetry(lambda: self.now)
        self.telemetry.begin("act", "c0ffee", ["etl", "ml"], None)
        self.state = CONTROLLER.initial()
        for name in ("etl", "ml"):
            self.telemetry.started(name, {}, self.state, Mwaa(5).memory_type, late_seconds=20, kept=3)
        self.book, file = OrderBook(OrdersFile(path)), OrdersFile(path)
        if path.parent.exists():
            file.begin()
        self.book._unread = None  # as read, and nothing in it
        self.desk = Desk(
            self.book,
            token,
            ("etl", "ml"),
            lambda: self.now,
            self.telemetry.ordered,
            self.telemetry.order_refused,
            self.telemetry.standby_text,
        )

    async def post(self, path, body=b"", token=TOKEN, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= {"Authorization": f"Bearer {token}".encode()} if token is not None else {}
        async with self.client() as client:
            return await client.post(path, content=content, headers=headers)

    async def get(self, path):
        async with self.client() as client:
            return await client.get(path)

    def client(self):
        transport = httpx.ASGITransport(application(self.telemetry, self.desk))
        return httpx.AsyncClient(transport=transport, base_url="http://daemon")

    def ticks(self, load=30, controller=CONTROLLER):
        capacity = Capacity(2, 0, 2)
        observation = Observation(
            self.now, Demand(load, 0, self.now), capacity, orders=self.book.of("etl", self.now)
        )
        self.state, decision = controller.step(self.state, observation)
        self.telemetry.decided(Tick("etl", observation, decision, 0.02))
        return decision

    def metrics(self):
        text = generate_latest(self.telemetry.registry).decode()
        return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in text.splitlines()}

    def lines(self):
        return [json.loads(line) for line in self.printed.getvalue().splitlines()]


@pytest.fixture
def daemon(tmp_path):
    return Daemon(tmp_path / "orders.json")


@pytest.mark.anyio
async def test_a_pause_is_shown_everywhere_and_the_daemon_stays_healthy(daemon):
    """Answer, status, log, metrics, decision; then it ends by itself, everywhere."""
    answer = await daemon.post(
        "/pause", {"target": "etl", "way": "in", "seconds": 600, "by": "anna", "why": "upgrade"}
    )
    pause = {"way": "in", "given_at": NOON, "until": NOON + 600, "by": "anna", "why": "upgrade"}
    words = "paused, in, until 2027-01-15 08:10:00 UTC, by anna: upgrade"
    shown = {"orders": {"pause": pause}, "ordered": [words]}
    assert (answer.status_code, answer.json()) == (200, {"targets": {"etl": shown}})
    status = (await daemon.get("/status")).json()["targets"]
    assert (status["etl"]["orders"], status["ml"]["orders"]) == ({"pause": pause}, {})
    daemon.ticks()
    order, decision = daemon.lines()[-2:]
    assert (order["event"], order["order"], order["targets"], order["by"]) == (
        "order", "pause", ["etl"], "anna",
    )  # fmt: skip
    assert decision["ordered"] == [words]
    metrics = daemon.metrics()
    assert metrics['autoscaler_paused{target="etl",way="in"}'] == "1.0"
    assert metrics['autoscaler_paused{target="etl",way="out"}'] == "0.0"
    assert metrics['autoscaler_orders_total{order="pause",result="given"}'] == "1.0"
    assert (await daemon.get("/healthz")).status_code == 200
    daemon.now += 600
    daemon.ticks()
    assert "ordered" not in daemon.lines()[-1]
    assert daemon.metrics()['autoscaler_paused{target="etl",way="in"}'] == "0.0"
    assert (await daemon.get("/status")).json()["targets"]["etl"]["orders"] == {}
    assert TOKEN not in daemon.printed.getvalue()


@pytest.mark.anyio
async def test_without_a_target_an_order_is_for_all_and_resume_ends_a_pause(daemon):
    """Without a time a pause lasts until then."""
    assert list((await daemon.post("/pause")).json()["targets"]) == ["etl", "ml"]
    forever = Orders(Pause(Way.BOTH, float("inf"), NOON))
    assert [daemon.book.of(name, NOON + 1e8) for name in ("etl", "ml")] == [forever, forever]
    answer = await daemon.post("/resume", {"target": "ml"})
    assert answer.json() == {"targets": {"ml": {"orders": {}, "ordered": []}}}
    assert daemon.book.of("etl", NOON) == forever


@pytest.mark.anyio
async def test_other_bounds_hold_for_a_time_or_until_they_are_ended(daemon):
    body = {"target": "etl", "min_workers": 8, "seconds": 3600, "why": "month's end"}
    await daemon.post("/override", body)
    assert daemon.book.of("etl", NOON) == Orders(
        override=Override(8, None, NOON + 3600, NOON, "", "month's end")
    )
    assert daemon.ticks().desired == 8
    assert daemon.metrics()['autoscaler_bounds_overridden{target="etl"}'] == "1.0"
    ended = await daemon.post("/override", {"target": "etl"})
    assert ended.json() == {"targets": {"etl": {"orders": {}, "ordered": []}}}
    assert daemon.ticks().desired == 6


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("token", "why"),
    [
        (None, "an order needs the header `Authorization: Bearer TOKEN`\n"),
        ("", "an order needs the header `Authorization: Bearer TOKEN`\n"),
        ("wrong-horse-battery", "the token is not the one of orders.token\n"),
        (TOKEN + "x", "the token is not the one of orders.token\n"),
        (TOKEN[:-1], "the token is not the one of orders.token\n"),
        ("ä" * 20, "the token is not the one of orders.token\n"),
    ],
)
async def test_who_does_not_know_the_token_is_sent_away_before_the_order_is_read(daemon, token, why):
    """Counted, and nothing is changed."""
    answer = await daemon.post("/pause", b"{" * 10, token)
    assert (answer.status_code, answer.text) == (401, why)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert daemon.book.of("etl", NOON) is None
    assert daemon.metrics()['autoscaler_orders_total{order="pause",result="refused"}'] == "1.0"


@pytest.mark.anyio
async def test_without_a_configured_token_nobody_gives_orders(tmp_path):
    """The page says what to set."""
    daemon = Daemon(tmp_path / "orders.json", token=None)
    answer = await daemon.post("/pause", token="")
    assert answer.status_code == 403
    assert answer.text == (
        "orders are not taken: set orders.path (or table) and orders.token (or token_file)\n"
    )


@pytest.mark.anyio
async def test_the_token_may_be_in_a_file_and_change(tmp_path):
    """Read with every order; a file that is gone or too short is said."""
    secret = tmp_path / "token"
    daemon = Daemon(tmp_path / "orders.json", from_file(str(secret)))
    assert (await daemon.post("/resume")).text.startswith(f"orders.token_file = {secret}: cannot be read")
    secret.write_text("short\n")
    answer = await daemon.post("/resume", token="short")
    assert (answer.status_code, answer.text) == (
        503,
        f"orders.token_file = {secret}: expected at least 16 characters\n",
    )
    secret.write_bytes(b"\xff" * 20)
    assert "not UTF-8 text" in (await daemon.post("/resume")).text
    secret.write_text(f"{TOKEN}\n")
    assert (await daemon.post("/resume")).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/pause", b"x", 400, "the body is not JSON"),
        ("/pause", b"[" * 4000, 400, "the body is not JSON"),
        ("/pause", b"[]", 400, "the body is no JSON object"),
        ("/pause", b" " * (MOST_BYTES + 1), 413, "the body is longer than 4096 bytes"),
        ("/pause", {"target": "none"}, 404, "there is no target of that name; try etl, ml"),
        ("/pause", {"way": "up"}, 400, "'way': Input should be 'both', 'in' or 'out'"),
        ("/pause", {"seconds": 0}, 400, "'seconds': Input should be greater than 0"),
        ("/pause", b'{"seconds": NaN}', 400, "'seconds': Input should be a finite number"),
        ("/pause", {"seconds": 1e9}, 400, "'seconds': Input should be less than or equal to 31622400"),
        ("/pause", {"seconds": "60"}, 400, "'seconds': Input should be a valid number"),
        ("/pause", {"why": "x" * 301}, 400, "'why': String should have at most 300 characters"),
        ("/pause", {"halt": 1}, 400, "'halt': Extra inputs are not permitted"),
        ("/resume", {"seconds": 1}, 400, "'seconds': Extra inputs are not permitted"),
        ("/override", {"min_workers": 5}, 400, "other bounds need `seconds` after which they end"),
        ("/override", {"seconds": 5}, 400, "other bounds need `seconds` after which they end"),
        ("/override", {"min_workers": -1, "seconds": 5}, 400, "'min_workers': Input should be greater"),
        ("/override", {"max_workers": 10**6, "seconds": 5}, 400, "'max_workers': Input should be less"),
        ("/override", {"max_workers": True, "seconds": 5}, 400, "'max_workers': Input should be a valid int"),
        (
            "/override",
            {"min_workers": 5, "max_workers": 4, "seconds": 5},
            400,
            "min_workers 5 is above max_workers 4",
        ),
    ],
)
async def test_a_wrong_order_is_refused_with_a_line_and_changes_nothing(daemon, path, body, status, why):
    answer = await daemon.post(path, body)
    assert (answer.status_code, answer.text.startswith(why)) == (status, True), answer.text
    assert daemon.book.of("etl", NOON) is None


@pytest.mark.anyio
async def test_who_and_why_are_bounded_and_clean(daemon):
    """A terminal obeys escapes, and a log line must stay one."""
    await daemon.post("/pause", {"by": "\x1b[31manna\n", "why": "a\u202eb"})
    pause = daemon.book.of("etl", NOON).pause
    assert (pause.by, pause.why) == ("[31manna", "a b")


@pytest.mark.anyio
async def test_an_order_that_cannot_be_kept_is_not_taken(tmp_path):
    daemon = Daemon(tmp_path / "none" / "orders.json")
    answer = await daemon.post("/pause")
    assert answer.status_code == 503
    assert answer.text.startswith("the order was not taken: orders.path = ")
    assert daemon.ticks().desired == 6


@pytest.mark.anyio
async def test_orders_are_posted(daemon):
    """Whoever only looks changes nothing."""
    assert (await daemon.get("/pause")).status_code == 405


def test_a_budget_is_told_in_words_and_figures(tmp_path):
    """An hour before it is spent somebody may look at the metric; without one there is no series."""
    daemon = Daemon(tmp_path / "orders.json")
    daemon.ticks()
    assert not [name for name in daemon.metrics() if name.startswith("autoscaler_budget_")]
    guards = replace(CONTROLLER.guards, budget=Budget(24, 8))
    for load, words in ((0, "2.0 worker-hours left, for 7200 s at this size"), (30, "1.5 worker-hours left")):
        daemon.ticks(load, replace(CONTROLLER, guards=guards))
        assert daemon.lines()[-1]["budget"].startswith(words)
        daemon.now += 1800
    metrics = daemon.metrics()
    assert metrics['autoscaler_budget_worker_hours{target="etl"}'] == "1.5"
    assert metrics['autoscaler_budget_seconds_left{target="etl"}'] == "5400.0"
    daemon.telemetry.metrics.begin("etl")
    assert not [name for name in daemon.metrics() if name.startswith("autoscaler_budget_")]


@pytest.mark.anyio
async def test_a_stand_by_names_the_leader(daemon):
    """Whoever knows the token is told; nobody else."""
    daemon.telemetry.stands_by("host-b/1")
    answer = await daemon.post("/pause")
    assert (answer.status_code, answer.text) == (
        409,
        "orders are for the daemon that leads; this one is standing by: host-b/1 leads\n",
    )
    assert (await daemon.post("/pause", token=None)).status_code == 401
    daemon.telemetry.leads(3)
    assert (await daemon.post("/pause")).status_code == 200
