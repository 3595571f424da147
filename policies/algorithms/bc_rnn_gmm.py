"""BC-RNN-GMM: imitation with memory and several modes (Mandlekar et al. 2021, arXiv 2108.03298).

    min E[ -log sum_k w_k(h_t) N(a_t; mu_k(h_t), sigma_k(h_t)^2) ],  h_t from an LSTM over a run of `window` steps

A person who waits before a delicate move, or who passes an obstacle now on this side, now on that, cannot be imitated
by the mean action in what is seen at one moment. In acting the memory is emptied every `window` steps, as in training.
"""

from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, EnvSpec
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.algorithms.bc import BehaviourCloning
from robot_hil.policies.base import Trainer
from robot_hil.policies.config import BcConfig
from robot_hil.policies.nets.lstm import LstmSpec, init_lstm, lstm_step
from robot_hil.policies.nets.mixture import mixture, mixture_log_prob
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class BcRnnGmmConfig(BcConfig):
    """Numbers of BC-RNN-GMM; published are two layers of 400 and a rate of 1e-4, for some hundred demonstrations."""

    algorithm = "bc_rnn_gmm"
    hidden: tuple[int, ...] = (128,)
    """Of the LSTM's layers."""
    window: int = 10
    """Steps of a run."""
    modes: int = 5
    least_std: float = 0.01
    """Of a mode; it only acts by the mode's mean, so that this bounds how exact imitation may become."""

    def __post_init__(self) -> None:
        BcConfig.__post_init__(self)
        if self.window < 2 or self.modes < 1 or self.least_std <= 0 or not self.hidden:
            raise ConfigError(
                f"window is {self.window}, must be at least 2; modes {self.modes}, at least 1; least_std "
                f"{self.least_std}, above 0; hidden {self.hidden}, at least one layer."
            )


class BcRnnGmm(BehaviourCloning):
    """See `robot_hil.policies.base.Algorithm`."""

    config: BcRnnGmmConfig

    @property
    def window(self) -> int:  # type: ignore[override]
        """See `Agent.window`."""
        return self.config.window

    @property
    def memory_size(self) -> int:  # type: ignore[override]
        """The LSTM's memory, and how many steps are in it."""
        return 2 * sum(self.config.hidden) + 1

    @property
    def noise_size(self) -> int:
        """See `Algorithm.noise_size`: what chooses a mode, and noise on its mean."""
        return self.config.modes + self._actions

    def bind(self, spec: EnvSpec) -> None:
        """See `Agent.bind`."""
        super().bind(spec)
        c = self.config
        self._lstm = LstmSpec(inputs=self._vision.size, hidden=c.hidden)
        self._head = MlpSpec(inputs=c.hidden[-1], outputs=c.modes * (1 + 2 * self._actions), hidden=())

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """See `Algorithm.init`."""
        lstm = init_lstm("actor/lstm", self._lstm, rng)
        return self._vision.init(rng) | lstm | init_mlp("actor/head", self._head, rng)

    def act(self, nn: Ops, params: Params, batch: Batch) -> A:
        """See `Algorithm.act`: the mean of one mode, drawn by its weight; the likeliest without noise."""
        c = self.config
        features = self._vision.look(nn, params, batch, "obs")
        count = batch["memory"][:, -1:]
        kept = nn.float32(count < c.window)
        hidden, memory = lstm_step(nn, params, "actor/lstm", self._lstm, features, batch["memory"][:, :-1] * kept)
        raw = mlp(nn, params, "actor/head", self._head, hidden)
        log_weights, means, _ = mixture(nn, raw, c.modes, self._actions, c.least_std)
        noise = batch["noise/act"]
        chosen = nn.argmax(log_weights + gumbel(nn, noise[:, : c.modes]), -1)
        picked = nn.float32(nn.array(np.arange(c.modes, dtype=np.int32)) == chosen[:, None])
        mean = nn.sum(picked[:, :, None] * means, 1)
        action = nn.clip(mean + c.exploration * noise[:, c.modes :], -1.0, 1.0)
        return nn.concat([action, memory, count * kept + 1.0], -1)

    def _imitate(self, nn: Ops, trainer: Trainer, batch: Batch) -> A:
        c = self.config
        rows = batch["action"].shape[0]
        if rows % c.window:
            raise SpecError(f"batch has {rows} rows; give a multiple of window = {c.window}.")
        weight = batch["imitate"] * batch["within"]

        def loss(params: Params) -> tuple[A, dict[str, A]]:
            raw = self._unrolled(nn, params, self._vision.look(nn, params, batch, "obs"))
            parts = mixture(nn, raw, c.modes, self._actions, c.least_std)
            return -nn.mean(mixture_log_prob(nn, *parts, batch["action"]) * weight), {}

        return self._step(trainer, loss)[0]

    def _unrolled(self, nn: Ops, params: Params, features: A) -> A:
        """Return the head's output for every row of the runs in `features` (B * window, F), (B * window, out)."""
        c = self.config
        runs = features.shape[0] // c.window
        steps = features.reshape(runs, c.window, features.shape[1])
        memory = nn.array(np.zeros((runs, self._lstm.memory_size), np.float32))
        outputs: list[A] = []
        for step in range(c.window):
            hidden, memory = lstm_step(nn, params, "actor/lstm", self._lstm, steps[:, step], memory)
            outputs.append(hidden)
        rows = nn.stack(outputs, 1).reshape(runs * c.window, c.hidden[-1])
        return mlp(nn, params, "actor/head", self._head, rows)


def gumbel(nn: Ops, noise: A) -> A:
    """Turn standard normal noise into Gumbel's: the largest of log w_k + noise is k with chance w_k."""
    chance = nn.clip(0.5 * (1.0 + nn.erf(noise / 2.0**0.5)), 1e-6, 1.0 - 1e-6)
    return -nn.log(-nn.log(chance))


CONFIG, ALGORITHM = BcRnnGmmConfig, BcRnnGmm
