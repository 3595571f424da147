"""HG-DAgger (Kelly et al. 2019): imitation of demonstrations and corrections by an ensemble that knows its doubt."""

from robot_hil.methods.bc import Bc
from robot_hil.methods.published import Published

METHOD = Published(
    title="imitates demonstrations and corrections by an ensemble; how much it differs is its doubt",
    source="Kelly et al. 2019, arXiv 1810.02890",
    family="imitation",
    view=Bc(),
    algorithm="hg_dagger",
    learner={"critic_warmup": 0},
    needs=("demonstrations", "interventions"),
)
