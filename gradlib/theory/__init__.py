"""What theory predicts about gradients at initialization. It never measures, and never builds a network.

One notation throughout: h_l = W_l φ(h_{l−1}) + b_l, with σ_w² = fan_in · Var(W) and σ_b² = Var(b). The
length q of a layer is the mean square of h_l. The gradient of a layer is ∂loss/∂h_l, and its factor per
layer, χ, multiplies the *squared* norm, going backward. Everything is float64.
"""

from gradlib.theory.attention import attention_similarity, overlaps, softmax_jacobian, softmax_moment
from gradlib.theory.finite import LogNormal, born_dead_probability, depth_to_underflow, lognormal_gradient
from gradlib.theory.gaussian import ACTIVATIONS
from gradlib.theory.meanfield import (
    WidthFactors,
    correlation_fixed_point,
    correlation_map,
    correlation_profile,
    correlation_slope,
    critical_line,
    default_variances,
    depth_scale,
    fixed_point,
    gradient_factor,
    gradient_profile,
    length_map,
    length_profile,
    relu_correlation_map,
    saturation_probability,
    silent_probability,
    width_factors,
)
from gradlib.theory.normalization import (
    batch_norm_factor,
    layer_norm_factor,
    normalization_jacobian,
    squared_norm_growth,
)
from gradlib.theory.recurrent import chrono_retention, gate_product, power_bounds, spectral_radius
from gradlib.theory.residual import (
    ResidualProfile,
    coactivation,
    gradient_correlation,
    path_length_shares,
    residual_profile,
)
from gradlib.theory.spectra import (
    gaussian_density,
    gaussian_edges,
    jacobian_moments,
    lyapunov_exponents,
    product_edge,
)
from gradlib.theory.stream import Stream, residual_stream
