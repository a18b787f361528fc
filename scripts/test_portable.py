"""Check that the stored outputs come out the same on other processors, threads and memory.

Float64 sums differ in their last digits between vector instructions and thread counts; four printed
digits must not. The two runs are as far apart as settings can be: no vector instructions, MKL's
compatible path and one thread, in the address space of a small Binder machine; avx2 and two threads.
`make test` has run this machine's own.
"""

from stages import Stage, conclude, run

NOTEBOOKS = ["--nbval", "notebooks", "--dist=loadfile"]
SETTINGS = [
    Stage(
        "plainest and 2 GiB",
        NOTEBOOKS,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
        address_space=2 * 2**30,
    ),
    Stage(
        "avx2 and two threads",
        NOTEBOOKS,
        # A thread that waits must leave its core to others, or a busy machine takes minutes for seconds.
        {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    ),
]

if __name__ == "__main__":
    conclude(list(map(run, SETTINGS)))
