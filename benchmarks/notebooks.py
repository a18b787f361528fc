"""What each chapter costs to run, alone: seconds and peak memory. To be run on a machine at rest.

Writes book/run-times.json, from which the line under each chapter's title is made.
"""

import asyncio
import json

from execution import ROOT, chapters, run

RUN_TIMES = ROOT / "book" / "run-times.json"


def main() -> None:
    costs = {}
    for path in chapters():
        result = asyncio.run(run(path))
        gigabytes = (result.peak_bytes or 0) / 1e9
        costs[path.stem] = {"seconds": round(result.seconds, 1), "gigabytes": round(gigabytes, 2)}
        print(f"{path.stem:<30} {result.seconds:5.1f} s  {gigabytes:.2f} GB", flush=True)
    RUN_TIMES.write_text(json.dumps(costs, indent=2) + "\n")


if __name__ == "__main__":
    main()
