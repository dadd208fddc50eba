"""`make calibration`: measure every case, print the table and fail where a goal is missed."""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from tests.calibration.measure import table_of
from tests.calibration.suite import suite


def _measured(position: int) -> pd.DataFrame:
    started_s = time.process_time()
    table = table_of([list(suite())[position]])
    return table.assign(processor_s=time.process_time() - started_s)


def main(out: str, processes: str = "2") -> int:
    """Write the table as tab-separated text; return how many rows miss their goal."""
    with ProcessPoolExecutor(int(processes)) as pool:
        parts = []
        for part in pool.map(_measured, range(len(list(suite())))):
            parts.append(part)
            print(part.to_string(index=False, header=len(parts) == 1), flush=True)
    table = pd.concat(parts, ignore_index=True)
    print(f"{sum(part['processor_s'].iloc[0] for part in parts) / 60:.0f} minutes of processor")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, sep="\t", index=False, float_format="%.3f")
    return int(table["verdict"].str.startswith("too").sum())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
