"""BC-RNN-GMM (Mandlekar et al. 2021): what people did, imitated with memory and in several modes."""

from dataclasses import dataclass

from robot_hil.methods.bc import Bc
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class BcRnnGmm(Bc):
    """As behaviour cloning; the algorithm is given runs of steps, of which the first is drawn."""


METHOD = Published(
    title="imitates what people did with a recurrent policy of several modes: habits and pauses are not averaged away",
    source="Mandlekar et al. 2021, arXiv 2108.03298",
    family="imitation",
    view=BcRnnGmm(),
    algorithm="bc_rnn_gmm",
    learner={"critic_warmup": 0, "batch_size": 640, "clone_batch_size": 640},
    needs=("demonstrations",),
)
