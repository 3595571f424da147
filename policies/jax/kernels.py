"""Functions in forms that XLA turns into quick code on a CPU."""

import jax
import jax.numpy as jnp
from jax import Array as JaxArray
from jax import lax


@jax.custom_vjp
def masked_sums(maps: JaxArray, masks: JaxArray) -> JaxArray:
    """See `Ops.masked_sums`: place by place, for all samples, maps and masks at once.

    As a product with one batch axis XLA moves every number to another place first, before and after.
    """
    return sum((maps[:, :, p, None] * masks[:, p] for p in range(1, maps.shape[2])), maps[:, :, 0, None] * masks[:, 0])


def _forward(maps: JaxArray, masks: JaxArray) -> tuple[JaxArray, tuple[JaxArray, JaxArray]]:
    return masked_sums(maps, masks), (maps, masks)


def _backward(kept: tuple[JaxArray, JaxArray], gradient: JaxArray) -> tuple[JaxArray, JaxArray]:
    """The masks' gradient is summed sample by sample: what is summed up then stays in the cache."""
    maps, masks = kept

    def add(total: JaxArray, sample: tuple[JaxArray, JaxArray]) -> tuple[JaxArray, None]:
        of_maps, of_sums = sample
        return total + of_maps[:, :, None] * of_sums[:, None, :], None

    by_masks, _ = lax.scan(add, jnp.zeros_like(masks), (maps, gradient))
    return jnp.einsum("bne,npe->bnp", gradient, masks), by_masks


masked_sums.defvjp(_forward, _backward)
