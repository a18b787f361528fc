"""Check that the stored outputs come out the same on other processors, threads and memory.

Float64 sums differ in their last digits between vector instructions and thread counts; four printed
digits must not. Each setting is met in one run at least: vector instructions none, avx2 and (in
`make test`) this machine's own; MKL's compatible path; one thread and two. One run has the address space
of a small Binder machine.
"""

from stages import Stage, conclude, run

NOTEBOOKS = ["--nbval", "notebooks", "--dist=loadfile"]
SETTINGS = [
    Stage(
        "no vector instructions",
        NOTEBOOKS,
        {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
    ),
    Stage(
        "avx2 and two threads",
        NOTEBOOKS,
        # A thread that waits must leave its core to others, or a busy machine takes minutes for seconds.
        {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    ),
    Stage(
        "compatible MKL and 2 GiB",
        NOTEBOOKS,
        {"MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"},
        address_space=2 * 2**30,
    ),
]

if __name__ == "__main__":
    conclude(list(map(run, SETTINGS)))
