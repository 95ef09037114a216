"""Reads damaged Parquet files: `damaged_parquet.py FOLDER COUNT`; ends with 0 if all were read or refused."""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.hostile.test_traces import PARQUET, damaged, read_or_refused


def main(folder: str, count: int) -> None:
    """Any other end than the two is a traceback."""
    path = Path(folder) / "t.parquet"
    for seed in range(count):
        luck = random.Random(seed)
        path.write_bytes(damaged(PARQUET[luck.choice(sorted(PARQUET))], luck))
        read_or_refused(path)
    sys.stdout.write(f"{count} done\n")


main(sys.argv[1], int(sys.argv[2]))
