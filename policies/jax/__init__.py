"""Operations and engine of jax."""
