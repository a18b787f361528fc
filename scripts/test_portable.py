"""Check that the stored outputs come out the same on other processors and threads.

`make test` compares them with the plainest settings there are. Here come the ones between: this machine's
own instructions on two threads; and avx2, where this machine has more than that.
"""

import torch
from stages import NOTEBOOKS, Stage, conclude, run

TWO_THREADS = Stage(
    "two threads",
    NOTEBOOKS,
    # A thread that waits must leave its core to others, or a busy machine takes minutes for seconds.
    {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
)
AVX2 = Stage("avx2", NOTEBOOKS, {"ATEN_CPU_CAPABILITY": "avx2"})

if __name__ == "__main__":
    has_more = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    conclude(list(map(run, [TWO_THREADS, AVX2] if has_more else [TWO_THREADS])))
