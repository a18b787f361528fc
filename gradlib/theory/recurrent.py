"""What theory predicts about gradients through time: gate products, chrono retention, powers of one matrix.

A plain recurrent network is a deep network whose layers share one matrix. For as many steps as are few
against the width, the sharing does not show (Yang 2020), and `gradient_factor` and `gradient_profile` hold
with the variance that the inputs bring in place of σ_b² (Chen, Pennington & Schoenholz 2018).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from gradlib.theory.domain import counts, non_negative, positive
from gradlib.theory.finite import LogNormal
from gradlib.theory.gaussian import Array, Numbers, gaussian_mean


def gate_product(bias: float, steps: int, variance: float = 0.0) -> LogNormal:
    """The factor that a gate leaves of a unit's squared gradient along the carried state.

        ∏_t f_t²,   f_t = σ(bias + √variance z_t),  z_t ~ N(0, 1)

    so that its mean is E[f²]^T, and its logarithm has the mean T E[ln f²] and the variance T Var[ln f²]:
    σ(bias)^(2T) where the gate does not vary. f is the forget gate of an LSTM (the constant error carousel
    of Hochreiter & Schmidhuber 1997 is f = 1; Gers, Schmidhuber & Cummins 2000) or the update gate of
    PyTorch's GRU. bias: of the gate, all of it: PyTorch adds two. variance: of the gate's pre-activation
    over time, ≥ 0, independent from step to step; a recurrent drive that lingers widens the spread. steps:
    T. Raises ValueError outside the domain.
    """
    counts("gate_product", steps=steps)
    non_negative("gate_product", variance=variance)
    if not np.isfinite(bias):
        raise ValueError(f"gradlib.theory.gate_product: bias={bias}; expected a finite number")
    squared = float(gaussian_mean(lambda a: expit(bias + a) ** 2, variance))
    log_mean = float(gaussian_mean(lambda a: 2 * log_expit(bias + a), variance))
    log_square = float(gaussian_mean(lambda a: 4 * log_expit(bias + a) ** 2, variance))
    return LogNormal(squared**steps, steps * log_mean, steps * max(log_square - log_mean**2, 0.0))


def chrono_retention(lag: Numbers, longest: int) -> Array:
    """The share of the squared gradient that the cells keep over `lag` steps under chrono initialization.

        E[(u / (1 + u))^(2 lag)],   u ~ U[1, T − 1]

    The forget gate's bias is ln u, so f = σ(ln u) = 1 / (1 + 1/u): a unit forgets over about u steps
    (Tallec & Ollivier 2018). Averaged over units this falls as a power of the lag up to T and exponentially
    beyond. lag: ≥ 0, of any shape. longest: T, the longest memory wanted, > 2. It leaves out what inputs
    and state add to the gate. Raises ValueError outside the domain.
    """
    counts("chrono_retention", longest=longest)
    non_negative("chrono_retention", lag=lag)
    if longest <= 2:
        raise ValueError(f"gradlib.theory.chrono_retention: longest={longest}; expected a number above 2")
    points, weights = np.polynomial.legendre.leggauss(200)
    u = 1 + (longest - 2) * (points + 1) / 2
    kept = (u / (1 + u)) ** (2 * np.asarray(lag, dtype=float)[..., None])
    return kept @ weights / 2


def spectral_radius(weight_variance: Numbers) -> Array:
    """ρ = σ_w, the largest absolute eigenvalue of a wide matrix of independent entries.

    No larger by Geman (1986), no smaller by the circular law (Tao, Vu & Krishnapur 2010). Half the spectral
    norm, 2σ_w (`gaussian_edges`). A few hundred units lie a few percent above. weight_variance: σ_w² = n
    Var(W), > 0; 1/3 for PyTorch's recurrent layers. Raises ValueError outside the domain.
    """
    positive("spectral_radius", weight_variance=weight_variance)
    return np.sqrt(weight_variance)


def power_bounds(matrix: ArrayLike, steps: int) -> tuple[float, float]:
    """Between what the squared norm of W^T must lie: ρ(W)^(2T) ≤ ‖W^T‖² ≤ ‖W‖^(2T).

    The squared gradient of a linear recurrent network, from the direction that keeps most. Either side may
    be far away, but ‖W^T‖^(1/T) → ρ (Gelfand 1941): the norm bounds every step, the radius rules the long
    run. So ‖W‖ < 1 is enough for vanishing, and ‖W‖ > 1 not enough for exploding (Pascanu, Mikolov &
    Bengio 2013). matrix: square. Raises ValueError outside the domain.
    """
    counts("power_bounds", steps=steps)
    square = torch.as_tensor(np.asarray(matrix, dtype=float))
    if square.ndim != 2 or square.shape[0] != square.shape[1]:
        raise ValueError(
            f"gradlib.theory.power_bounds: matrix has shape {tuple(square.shape)}; expected a square"
        )
    radius = torch.linalg.eigvals(square).abs().max().item()
    return radius ** (2 * steps), torch.linalg.matrix_norm(square, 2).item() ** (2 * steps)
