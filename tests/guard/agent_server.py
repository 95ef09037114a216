"""The ECS agent's endpoint, its odd answers included, as the Developer Guide and practice describe it."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time

TASK = "arn:aws:ecs:eu-central-1:1:task/production/0123456789abcdef0123456789abcdef"
PATH = "/api/4f1c-container/task-protection/v1/state"

REFUSED = {"failure": {"Arn": TASK, "Reason": "DEPLOYMENT_BLOCKED", "Detail": "Task is being drained."}}
DENIED = {"error": {"Arn": TASK, "Code": "AccessDeniedException", "Message": "User is not authorized"}}
THROTTLED = {"error": {"Arn": TASK, "Code": "ThrottlingException", "Message": "Rate exceeded"}}


class AgentServer:
    """One task's protection; `odd` answers come first, then it does what it is asked."""

    def __init__(self) -> None:
        self.until = 0.0
        self.calls: list[tuple[str, dict]] = []
        self.odd: deque[tuple[int, object]] = deque()
        """(status, document or bytes); an odd answer changes nothing."""
        self.refuses = False
        self.meanwhile: Callable[[], object] = lambda: None
        """Happens once, while the next answer is on its way."""
        self.silence = threading.Event()
        """While it is clear nobody gets an answer."""
        self.silence.set()
        self.pages: dict[str, object] = {}
        """Other documents that it serves, by path."""
        self.url = ""

    @property
    def protected(self) -> bool:
        return self.until > time()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        self.silence.wait(30)
        if path in self.pages:
            return 200, self.pages[path]
        if path != PATH:
            return 404, b"404 page not found"
        document = json.loads(body or b"{}")
        self.calls.append((method, document))
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        if self.odd:
            return self.odd.popleft()
        if self.refuses:
            return 200, REFUSED
        if method == "PUT":
            problem = self._put(document)
            if problem:
                return 400, {"error": {"Code": "InvalidParameterException", "Message": problem}}
        return 200, {"protection": self._state()}

    def _put(self, document: dict) -> str:
        if unknown := document.keys() - {"ProtectionEnabled", "ExpiresInMinutes"}:
            return f"unknown field {min(unknown)}"
        enabled, minutes = document.get("ProtectionEnabled"), document.get("ExpiresInMinutes", 120)
        if not isinstance(enabled, bool):
            return "ProtectionEnabled is required"
        if not 1 <= minutes <= 2880:
            return "ExpiresInMinutes must be between 1 and 2880"
        self.until = time() + minutes * 60 if enabled else 0.0
        return ""

    def _state(self) -> dict:
        if not self.protected:
            return {"ProtectionEnabled": False, "TaskArn": TASK}
        date = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(self.until))
        shown = date.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"ExpirationDate": shown, "ProtectionEnabled": True, "TaskArn": TASK}


@contextmanager
def agent_server() -> Iterator[AgentServer]:
    """Listens on a free port until the end."""
    agent = AgentServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, document = agent.answer(self.command, self.path, self.rfile.read(length))
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None: ...

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # whoever asked has given up

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    agent.url = f"http://127.0.0.1:{server.server_address[1]}/api/4f1c-container"
    try:
        yield agent
    finally:
        agent.silence.set()
        server.shutdown()
        server.server_close()
        thread.join()
