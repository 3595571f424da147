"""Agents in torch."""

import os

# OpenMP's threads wait for one another in a loop for milliseconds before they sleep, at each of a hundred places in an
# update. Where another process needs the core, e.g. the actor's, the one waited for does not run: measured on two cores
# under heavy load 1,150 to 3,050 ms for an update that takes 240 to 290 if they give up after some 50 us. On cores of
# their own both take the same. GNU's OpenMP reads this once, when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
