"""What a serialized DAG tells, and what follows for the tries of a run: pure arithmetic."""

import csv
import json
import zlib
from datetime import datetime
from pathlib import Path

import pytest

from autoscaler.trace_export import Run, Tally, Try, Window, plain
from autoscaler.trace_export.assemble import Assembler
from autoscaler.trace_export.structure import document_of, structure_of
from tests.sources.airflow_db.past import serialized

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "airflow"
WINDOW = Window(0.0, 1e12)
RUN = Run(1, "d", "r", "manual", 998.0, 1000.0, None)


def attempt(task, started, ended, *, index=-1, number=1, **more):
    fields = {"state": "success", "queued_at": started - 1, "scheduled_at": started - 2} | more
    return Try(task, index, number, started_at=started, ended_at=ended, **fields)


def rows_of(tries, structure, run=RUN, window=WINDOW):
    tally = Tally()
    return {row.task_key: row for row in Assembler(window, plain, tally).rows(run, tries, structure)}, tally


def mapped(task):
    """A mapped task group with two tasks in it, and one after it."""
    inside = {"a": ["operator", "g.a"], "b": ["operator", "g.b"]}
    group = {"_group_id": "g", "is_mapped": True, "children": inside}
    return {"_group_id": None, "children": {"g": ["taskgroup", group], task: ["operator", task]}}


def test_a_task_without_rows_hands_its_parents_on():
    """A parent that never ran is no row, and whoever waits for it waits for its own; an empty task is one."""
    structure = structure_of(serialized({"a": ["none"], "none": ["empty"], "empty": ["z"], "z": []}, 3))
    empty = attempt("empty", 1030, 1030, queued_at=None)
    rows, tally = rows_of([attempt("a", 1005, 1015), empty, attempt("z", 1040, 1050)], structure)
    assert (rows["d/r/z"].parents, rows["d/r/empty"].parents) == ("d/r/empty", "d/r/a")
    assert (rows["d/r/empty"].slots, rows["d/r/empty"].duration_s) == (0, 0)
    assert (rows["d/r/a"].queued_at, rows["d/r/z"].queued_at) == (1000, 1010)
    assert tally.off_worker == 1


def test_mapped_tasks():
    """All indexes wait for one parent, one child for all; inside a mapped group index for index."""
    edges = {"first": ["g.a"], "g.a": ["g.b"], "g.b": ["last"], "last": []}
    structure = structure_of(serialized(edges, 3, task_group=mapped("last")))
    tries = [attempt("first", 1000, 1010), attempt("last", 1100, 1101)]
    for index in range(3):
        tries += [
            attempt("g.a", 1020, 1030 + index, index=index),
            attempt("g.b", 1040, 1050, index=index),
        ]
    rows, _ = rows_of(tries, structure)
    assert rows["d/r/g.a[1]"].parents == "d/r/first"
    assert rows["d/r/g.b[2]"].parents == "d/r/g.a[2]"
    assert rows["d/r/last"].parents == "d/r/g.b[0];d/r/g.b[1];d/r/g.b[2]"
    assert rows["d/r/last"].queued_at == 1000 + 10 + 12 + 10


def test_the_record_decides_who_was_waited_for():
    """A parent still running was not waited for; one run again later was, the first time."""
    structure = structure_of(serialized({"slow": ["z"], "again": ["z"], "z": []}, 2))
    tries = [
        attempt("slow", 1000, 1090),
        attempt("again", 1000, 1010),
        attempt("again", 1500, 1510, number=2),
        attempt("z", 1020, 1030),
    ]
    assert rows_of(tries, structure)[0]["d/r/z"].parents == "d/r/again"


def test_nothing_starts_later_than_it_did():
    """A run that was cleared has a new start; its earlier tries keep their own instants."""
    structure = structure_of(serialized({"a": []}, 2))
    rows, _ = rows_of([attempt("a", 900, 910), attempt("a", 1020, 1030, number=2)], structure)
    assert [row.queued_at for row in rows.values()] == [900, 1018]


def test_a_sensor_that_gives_its_slot_back():
    """What it waits for lies outside, so its last look cannot come earlier."""
    structure = structure_of(serialized({"s": ["z"], "z": []}, 3, s={"mode": "reschedule"}))
    rows, tally = rows_of([attempt("s", 1300, 1301), attempt("z", 1310, 1320)], structure)
    assert [row.queued_at for row in rows.values()] == [1298, 1299]
    assert tally.rescheduled == 1


def test_tasks_nobody_knows():
    """Of a task that is in no structure the record is all there is."""
    structure = structure_of(serialized({"a": []}, 3))
    rows, tally = rows_of([attempt("renamed", 1050, 1060)], structure)
    assert [(row.queued_at, row.parents) for row in rows.values()] == [(1048, "")]
    assert tally.without_parents == 1
    lost = attempt("a", 1050, 1060, number=3)
    without_start = Run(1, "d", "r", "scheduled", None, None, None)
    assert [row.queued_at for row in rows_of([lost], structure)[0].values()] == [1048]
    assert [row.queued_at for row in rows_of([lost], structure, without_start)[0].values()] == [1048]


def test_what_never_ran_on_a_worker():
    """A failed parent's children, and the Kubernetes queue of Airflow 2."""
    failed = attempt("a", 1050, 1060, state="upstream_failed")
    pod = attempt("b", 1050, 1060, queue="kubernetes")
    tally = Tally()
    (row,) = Assembler(WINDOW, plain, tally, airflow_2=True).rows(RUN, [failed, pod], None)
    assert (row.task, row.slots, row.duration_s) == ("b", 0, 10)
    assert tally.off_worker == 1
    assert Assembler(WINDOW, plain, tally).rows(RUN, [failed], None) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "no serialized DAG: KeyError 'dag'"),
        ({"dag": {"tasks": [{}]}}, "no serialized DAG: KeyError 'task_id'"),
        ([], "no serialized DAG: TypeError"),
        (None, "no serialized DAG: TypeError"),
        (serialized({"a": ["nowhere"]}, 3), "no serialized DAG: KeyError 'nowhere'"),
        (serialized({"a": ["b"], "b": ["a"]}, 3), "its tasks wait for each other in a ring"),
    ],
)
def test_documents_that_tell_nothing(document, said):
    """Each says why."""
    with pytest.raises(ValueError, match=said):
        structure_of(document)


def test_where_the_document_is():
    """As JSON, as text, or compressed; bad bytes are told."""
    document = {"dag": 1}
    assert document_of(document, None) == document
    assert document_of(json.dumps(document), None) == document
    assert document_of(None, zlib.compress(json.dumps(document).encode())) == document
    with pytest.raises(ValueError, match="not zlib data"):
        document_of(None, b"no")


def test_a_real_serialized_dag():
    """As Airflow 3 wrote it."""
    path = SHARED / "serialized-sample-3x.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    structure = structure_of(json.loads(path.read_text(encoding="utf-8")))
    assert structure.parents["join"] == tuple(f"extract_{number}" for number in range(5))
    assert structure.parents["load"] == ("transform_0", "transform_1", "transform_2")
    assert structure.parents["extract_0"] == ()
    assert structure.order.index("join") < structure.order.index("load")


@pytest.mark.parametrize("workers", ["2w", "4w"])
def test_a_measured_airflow(workers):
    """The same workload under two fleets: with edges known the arrivals become nearly the same."""
    folder = SHARED / "runs"
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    rows, _ = measured(folder, workers)
    for row in rows.values():
        parents = [rows[key] for key in row.parents.split(";") if key]
        for parent in parents:  # what the export says a task waited for had ended when it really started
            assert row.queued_at >= parent.queued_at + parent.duration_s - 1e-6
    retries = [key for key in rows if key.endswith("flaky#2")]
    assert retries
    assert all(rows[key].parents == key.removesuffix("#2") for key in retries)
    joins = [row for row in rows.values() if row.task == "join"]
    assert joins
    assert all(row.parents.count(";") == 4 for row in joins)
    above = {rows[row.parents] for row in rows.values() if row.task.startswith("shard_")}
    assert {(row.task, row.slots) for row in above} == {("start", 0)}
    assert max(row.duration_s for row in above) < 0.001
    assert all(10 < rows[key].delay_s < 13 for key in retries)


def test_two_fleets_one_load():
    """What the fleet made late is not in the rebuilt instants: they agree where the recorded ones do not."""
    folder = SHARED / "runs"
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    few, few_starts = measured(folder, "2w")
    many, many_starts = measured(folder, "4w")
    common = [
        key for key in few if key in many and few[key].dag not in {"flaky_sensor", "drain", "drain_retry"}
    ]
    assert len(common) > 200
    rebuilt = [abs(few[key].queued_at - many[key].queued_at) for key in common]
    recorded = [abs(few_starts[key] - many_starts[key]) for key in common]
    assert sum(rebuilt) < 0.25 * sum(recorded)


def measured(folder, workers):
    """(rows by key, recorded start by key), both from the first run's start."""
    edges = json.loads((folder / f"edges-{workers}.json").read_text(encoding="utf-8"))
    with (folder / f"dagruns-{workers}.csv").open(encoding="utf-8") as file:
        runs = list(csv.DictReader(file))
    zero = min(instant(run["start_date"]) for run in runs)
    tries = {}
    with (folder / f"tasks-{workers}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tries.setdefault((row["dag_id"], row["run_id"]), []).append(try_of(row, zero))
    rows, starts = {}, {}
    assembler = Assembler(Window(-1e9, 1e9), plain, Tally())
    for number, run in enumerate(runs):
        began = instant(run["start_date"]) - zero
        it = Run(number, run["dag_id"], run["run_id"], run["run_type"], began, began, None)
        mine = [each for each in tries[run["dag_id"], run["run_id"]] if each is not None]
        structure = structure_of(serialized(edges[run["dag_id"]], 3))
        for row in assembler.rows(it, mine, structure):
            rows[row.task_key] = row
            starts[row.task_key] = next(
                each.started_at
                for each in mine
                if row.task_key.endswith(suffix(each)) and row.task == each.task
            )
    return rows, starts


def suffix(each):
    index = f"[{each.map_index}]" if each.map_index >= 0 else ""
    return f"/{each.task}{index}" + (f"#{each.number}" if each.number > 1 else "")


def instant(text):
    return datetime.fromisoformat(text).timestamp() if text else None


def try_of(row, zero):
    times = [
        None if (at := instant(row[name])) is None else at - zero
        for name in ("queued_dttm", "scheduled_dttm", "start_date", "end_date")
    ]
    if times[2] is None:
        return None
    head = (row["task_id"], int(row["map_index"]), int(row["try_number"]), row["state"])
    return Try(*head, *times, row["queue"], row["executor"] or None, row["pool"], int(row["pool_slots"]))
