"""Wire: uplink of steps, broadcast of weights, keys."""
