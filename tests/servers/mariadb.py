"""A real MariaDB on a unix socket, with passwords."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from tests.servers import programs
from tests.servers.process import Folder, Server, run

PASSWORD = "pass word/1@2%3"  # every character that a URL would rather not have
SYSTEM = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
ADMIN = f"""FLUSH PRIVILEGES;
CREATE USER admin@localhost IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;
"""


class MariaDB:
    """A running server.  Its administrator is `admin`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        program, self.socket = programs.mariadb(), folder.path / "socket"
        self._share = programs.share_of(program)
        self._command = [
            program,
            "--no-defaults",
            f"--datadir={folder.path / 'data'}",
            f"--lc-messages-dir={self._share}",
            f"--character-sets-dir={self._share / 'charsets'}",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-use-native-aio=0",
            "--skip-log-bin",
        ]
        more = ["--skip-networking", f"--socket={self.socket}", "--default-time-zone=+05:30"]
        more += [f"--pid-file={folder.path / 'pid'}", "--character-set-server=utf8mb4"]
        self._server = Server([*self._command, *more], signal.SIGTERM, folder.path.with_suffix(".log"))

    def url(self, database: str = "mysql", user: str = "admin", password: str = PASSWORD) -> str:
        """As Airflow would be configured with it."""
        login = f"{user}:{quote(password, safe='')}"
        return f"mysql+mysqldb://{login}@localhost/{database}?unix_socket={self.socket}&charset=utf8mb4"

    def install(self) -> None:
        """The system tables and the administrator."""
        (self.folder.path / "data").mkdir()
        tables = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
        script = SYSTEM + "".join((self._share / name).read_text(encoding="utf-8") for name in tables)
        self.folder.give()
        command = [*self._command, "--bootstrap"]
        run(command, input=script + ADMIN, env=programs.environment(programs.mariadb()))

    def start(self) -> None:
        """Also again, after a stop."""
        self.socket.unlink(missing_ok=True)
        self._server.start(self.socket.exists)

    def stop(self) -> None:
        """Ends all connections."""
        self._server.stop()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Alive, and silent."""
        self._server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.signal(signal.SIGCONT)


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """A new server, gone at the end."""
    folder = Folder()
    try:
        server = MariaDB(folder)
        server.install()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        folder.remove()
        folder.path.with_suffix(".log").unlink(missing_ok=True)
