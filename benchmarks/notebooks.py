"""What each notebook costs to run, alone: seconds and peak memory. To be run on a machine at rest.

Budget: 20 s and 1 GiB each. Keeps book/run-times.json, from which the line under each chapter's title
is made; a value there changes only when the cost changes by more than a quarter, because two runs are
never equally fast.
"""

import asyncio
import json

from execution import ROOT, chapters, run

RUN_TIMES = ROOT / "book" / "run-times.json"
MOST_SECONDS, MOST_GIGABYTES = 20, 1.07


def settled(before: float | None, now: float) -> float:
    """The old value, while the new one is within a quarter of it."""
    return before if before is not None and abs(now - before) <= before / 4 else now


def main() -> None:
    known = json.loads(RUN_TIMES.read_text()) if RUN_TIMES.exists() else {}
    costs = {}
    for path in chapters():
        cost = asyncio.run(run(path))
        gigabytes = (cost.peak_bytes or 0) / 1e9
        over = " over budget" if cost.seconds > MOST_SECONDS or gigabytes > MOST_GIGABYTES else ""
        print(f"{path.stem:<30} {cost.seconds:5.1f} s  {gigabytes:.2f} GB{over}", flush=True)
        old = known.get(path.stem, {})
        costs[path.stem] = {
            "seconds": settled(old.get("seconds"), max(1, round(cost.seconds))),
            "gigabytes": settled(old.get("gigabytes"), round(gigabytes, 1)),
        }
    RUN_TIMES.write_text(json.dumps(costs, indent=2) + "\n")


if __name__ == "__main__":
    main()
