"""The loads: DAGs, each task of which says so when it begins and when it ends."""

from datetime import UTC, datetime

from airflow import DAG
from marks import hold, hold_unevenly

try:
    from airflow.providers.standard.operators.python import PythonOperator
except ImportError:  # Airflow 2.11
    from airflow.operators.python import PythonOperator

KEY = "{{ ti.dag_id }} {{ run_id }} {{ ti.task_id }} {{ ti.map_index }}"
SETTINGS = {
    "schedule": None,
    "start_date": datetime(2024, 1, 1, tzinfo=UTC),
    "max_active_tasks": 64,
    "catchup": False,
}


def holding(name: str, seconds: float, **options: object) -> PythonOperator:
    """A task that holds a slot for so long."""
    return PythonOperator(task_id=name, python_callable=hold, op_args=[seconds, KEY], **options)


with DAG("burst", **SETTINGS):
    for number in range(14):
        holding(f"short_{number}", 3 + number % 3)

with DAG("chain", **SETTINGS):
    first, second, third = (holding(name, 4) for name in ("extract", "transform", "load"))
    first >> second >> third

with DAG("fan", **SETTINGS):
    split, join = holding("split", 2), holding("join", 2)
    split >> [holding(f"part_{number}", 5) for number in range(6)] >> join

with DAG("pooled", **SETTINGS):
    for number in range(4):
        holding(f"dump_{number}", 5, pool="narrow")

with DAG("mapped", **SETTINGS):
    PythonOperator.partial(task_id="each", python_callable=hold).expand(op_args=[[4, KEY]] * 4)

with DAG("long", **SETTINGS):
    for number in range(2):
        holding(f"report_{number}", 45)

with DAG("uneven", **SETTINGS):
    for number in range(8):
        PythonOperator(
            task_id=f"work_{number}",
            python_callable=hold_unevenly,
            op_args=["{{ dag_run.conf.long_seconds }}", 6, KEY, "{{ run_id }}"],
        )
