"""``make faults JOBS=20000 SEED=7``: a stack of its own, a long run, the audit as the last line."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.run import run
from tests.stack.stack_helpers import running_stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--per-second", type=float, default=300.0)
    parser.add_argument("--patience", type=float, default=900.0, help="seconds to settle in")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, running_stack(Path(directory), {}) as stack:
        result = run(
            stack, jobs=options.jobs, seed=options.seed, per_second=options.per_second, patience=options.patience
        )
    for fault in result.faults():
        print(fault)
    print(f"{time.monotonic() - started:.0f} s")
    print(result)
    return 1 if result.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
