"""The squashed Gaussian policy of SAC."""

import math

from robot_hil.policies.ops import A, Ops


def gaussian(nn: Ops, raw: A, noise: A, log_std_low: float, log_std_high: float) -> tuple[A, A]:
    """Tanh-squashed Gaussian from raw (B, 2A) and standard normal noise (B, A).

    Returns:
        action (B, A) and its log-density (B,). The density of tanh is computed as
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), stable for large u (Haarnoja et al. 2018, appendix C).
    """
    size = noise.shape[-1]
    mean, log_std = raw[..., :size], nn.clip(raw[..., size:], log_std_low, log_std_high)
    pre = mean + nn.exp(log_std) * noise
    log_prob = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    log_prob = log_prob - 2 * (math.log(2.0) - pre - nn.softplus(-2 * pre))
    return nn.tanh(pre), nn.sum(log_prob, -1)
