"""Check that the stored outputs come out the same on other processors, threads and memory.

Float64 sums differ in their last digits between vector instructions and thread counts; four printed
digits must not. `make test` has run this machine's own instructions on two threads. Here come settings as
far from these as there are: no vector instructions, MKL's compatible path and one thread, in the address
space of a small Binder machine; and avx2, where this machine has more than that.
"""

import torch
from stages import NOTEBOOKS, Stage, conclude, run

PLAINEST = Stage(
    "plainest and 2 GiB",
    NOTEBOOKS,
    {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
    address_space=2 * 2**30,
)
AVX2 = Stage("avx2", NOTEBOOKS, {"ATEN_CPU_CAPABILITY": "avx2"})

if __name__ == "__main__":
    has_more = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    conclude(list(map(run, [PLAINEST, AVX2] if has_more else [PLAINEST])))
