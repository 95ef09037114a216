"""A real PostgreSQL on a unix socket, with passwords, and if wanted a standby and PgBouncer."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.servers import programs
from tests.servers.process import Folder, Server, run

PASSWORD = "pass word/1@2%3"  # every character that a URL would rather not have
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
    "timezone=Asia/Kolkata",  # ages must not depend on it
    "log_min_messages=fatal",
)


class Postgres:
    """A running server.  Its superuser is `postgres`."""

    def __init__(self, folder: Folder, port: int = 5432) -> None:
        self.folder, self._port = folder, port
        options = (word for setting in SETTINGS for word in ("-c", setting))
        sockets = ("-c", "listen_addresses=", "-k", str(folder.path), "-p", str(port))
        command = [programs.postgresql() / "postgres", "-D", folder.path / "data", *sockets, *options]
        self._server = Server(command, signal.SIGINT, folder.path.with_suffix(".log"))

    def url(self, database: str = "postgres", user: str = "postgres", password: str = PASSWORD) -> str:
        """As Airflow would be configured with it."""
        login = f"{user}:{quote(password, safe='')}"
        return f"postgresql+psycopg2://{login}@/{database}?host={self.folder.path}&port={self._port}"

    def start(self) -> None:
        """Also again, after a stop."""
        program = programs.postgresql() / "pg_isready"
        command = [program, "-q", "-h", self.folder.path, "-p", str(self._port)]
        self._server.start(lambda: _succeeds(command))

    def stop(self) -> None:
        """Ends all connections."""
        self._server.stop()

    @contextmanager
    def standby(self) -> "Iterator[Postgres]":
        """A streaming replica: readable, and lagging by however much."""
        with _folder() as folder:
            copy = [programs.postgresql() / "pg_basebackup", "-D", folder.path / "data", "-R", "-X", "stream"]
            source = ["-h", self.folder.path, "-p", str(self._port), "-U", "postgres", "--checkpoint=fast"]
            run([*copy, *source], env={**os.environ, "PGPASSWORD": PASSWORD})
            replica = Postgres(folder)
            replica.start()
            try:
                yield replica
            finally:
                replica.stop()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A new server, gone at the end."""
    with _folder() as folder:
        secret = folder.path / "secret"
        secret.write_text(PASSWORD)
        folder.give()
        options = ["-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "-E", "UTF8"]
        run([programs.postgresql() / "initdb", "-D", folder.path / "data", *options, "--locale=C"])
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def pgbouncer(server: Postgres, database: str) -> Iterator[str]:
    """The URL of a pooler in transaction mode, with two server connections, before the server."""
    program = programs.pgbouncer()
    with _folder() as folder:
        configuration, users = folder.path / "pgbouncer.ini", folder.path / "users.txt"
        escaped = PASSWORD.replace("'", "''")
        target = f"host={server.folder.path} port=5432 user=postgres password='{escaped}'"
        users.write_text(f'"postgres" "{PASSWORD}"\n')
        configuration.write_text(
            f"[databases]\n{database} = {target}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n"
            f"unix_socket_dir = {folder.path}\nauth_type = plain\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nserver_reset_query =\n"
        )
        folder.give()
        pooler = Server([program, configuration], signal.SIGINT, folder.path.with_suffix(".log"))
        pooler.start((folder.path / ".s.PGSQL.6432").exists)
        try:
            login = f"postgres:{quote(PASSWORD, safe='')}"
            yield f"postgresql://{login}@/{database}?host={folder.path}&port=6432"
        finally:
            pooler.stop()


@contextmanager
def _folder() -> Iterator[Folder]:
    folder = Folder()
    try:
        yield folder
    finally:
        folder.remove()
        Path(folder.path.with_suffix(".log")).unlink(missing_ok=True)


def _succeeds(command: list[str | Path]) -> bool:
    try:
        run(command)
    except RuntimeError:
        return False
    return True
