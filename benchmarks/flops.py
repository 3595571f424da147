"""How many floating-point operations an update needs at least: what its physical limit is computed from.

Only products of matrices and convolutions are counted; a multiplication and an addition are two operations. Layer
norms, activations, Adam and Polyak averages come on top: they move memory, and their share of an update is in its
profile. A layer with `n` operations forward takes `n` more for the gradient of its weights and `n` for that of its
input, where these are needed: no gradient of weights in a critic that the actor climbs, none of inputs that are data,
none at all in targets. `tests/benchmarks/test_flops.py` holds the counts against those that torch makes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Work:
    """Operations of an update, by what they are limited by [FLOP]."""

    products: float = 0.0
    """Of matrices."""
    convolutions: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.products + other.products, self.convolutions + other.convolutions)

    def __mul__(self, times: float) -> "Work":
        return Work(self.products * times, self.convolutions * times)

    def seconds(self, product_rate: float, convolution_rate: float) -> float:
        """Return how long it takes at the given rates [FLOP/s]."""
        return self.products / product_rate + self.convolutions / convolution_rate


@dataclass(frozen=True, slots=True)
class Dense:
    """A stack of dense layers, or `members` of them with weights of their own, for `rows` samples."""

    widths: Sequence[int]
    """Inputs, hidden layers, outputs."""
    rows: int
    members: int = 1

    @property
    def _layers(self) -> list[float]:
        return [2.0 * self.members * self.rows * a * b for a, b in pairwise(self.widths)]

    @property
    def forward(self) -> Work:
        """Outputs only."""
        return Work(products=sum(self._layers))

    @property
    def train(self) -> Work:
        """Outputs, the weights' gradients, and inner layers' inputs' gradients, through which those come."""
        return self.forward * 2 + Work(products=sum(self._layers[1:]))

    def to_inputs(self, columns: int) -> Work:
        """Gradients of that many of the inputs, when those of the inner layers are there."""
        return Work(products=2.0 * self.members * self.rows * columns * self.widths[1])

    def through(self, columns: int) -> Work:
        """Outputs, and gradients of that many of the inputs with the weights held fixed."""
        return self.forward + Work(products=sum(self._layers[1:])) + self.to_inputs(columns)


@dataclass(frozen=True, slots=True)
class Convolutions:
    """3x3 convolutions, one after the other, of square images with three channels; one stack for every camera."""

    side: int
    filters: Sequence[int]
    strides: Sequence[int]
    images: int
    """Samples times cameras."""

    @property
    def _layers(self) -> list[float]:
        side, layers = self.side, []
        for (fan, filters), stride in zip(pairwise((3, *self.filters)), self.strides, strict=True):
            side = -(-side // stride)
            layers.append(2.0 * self.images * side * side * 9 * fan * filters)
        return layers

    @property
    def forward(self) -> Work:
        """Outputs only."""
        return Work(convolutions=sum(self._layers))

    @property
    def train(self) -> Work:
        """Outputs, the weights' gradients, and inner layers' inputs' gradients."""
        return self.forward * 2 + Work(convolutions=sum(self._layers[1:]))


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The head on cached maps of a trunk: masked sums of every channel, then a dense layer; one for every camera."""

    rows: int
    cameras: int
    vectors: int
    channels: int = 512
    places: int = 16
    masks: int = 8
    outputs: int = 256
    vector_outputs: int = 64

    @property
    def features(self) -> int:
        """Size of what comes out."""
        return self.cameras * self.outputs + self.vector_outputs

    @property
    def _dense(self) -> float:
        return 2.0 * self.rows * self.cameras * self.channels * self.masks * self.outputs

    @property
    def forward(self) -> Work:
        """Outputs only."""
        sums = self.cameras * self.channels * self.places * self.masks
        return Work(products=2.0 * self.rows * (sums + self.vectors * self.vector_outputs) + self._dense)

    @property
    def train(self) -> Work:
        """Outputs, all weights' gradients, and those of the sums, through which those of the masks come."""
        return self.forward * 2 + Work(products=self._dense)


def residual(side: int, images: int) -> Work:
    """Count outputs of a ResNet-10 for square images: a stem of 7x7, then four blocks, each but the first halving."""
    side //= 2
    total, side, fan = 49.0 * 3 * 64 * side * side, side // 2, 64
    for filters in (64, 128, 256, 512):
        side = side if filters == fan else side // 2
        around = 0 if filters == fan else fan * filters
        total += side * side * (9.0 * filters * (fan + filters) + around)
        fan = filters
    return Work(convolutions=2.0 * images * total)


def hil_serl(
    *,
    features: int,
    actions: int,
    rows: int,
    ensemble: int,
    updates: int,
    subset: int | None = None,
    encoder: Convolutions | Embeddings | None = None,
    encoded: int = 0,
) -> Work:
    """Count a round of soft actor-critic: `updates` of the critics on `rows` samples each, one of the actor.

    Hidden layers are 2 x 256. `subset` members make the targets, all by default. `encoder`, for `rows` samples, is
    trained with the critics; `encoded` of the features are its output.
    """
    actor = Dense((features, 256, 256, 2 * actions), rows)
    critics = Dense((features + actions, 256, 256, 1), rows, ensemble)
    target = Dense(critics.widths, rows, subset or ensemble)
    judge = actor.forward + target.forward + critics.train
    if encoder is not None:
        judge += encoder.forward + encoder.train + critics.to_inputs(encoded)
    return judge * updates + actor.train + critics.through(actions)


def anchored(
    *,
    features: int,
    actions: int,
    rows: int,
    ensemble: int,
    updates: int,
    subset: int = 2,
    actors: int = 3,
    gain: bool = True,
    encoder: Convolutions | None = None,
    encoded: int = 0,
) -> Work:
    """Count a round of the default agent; as `hil_serl`, and critics that see a function of the action beside it.

    `features` counts vectors twice where the agent looks at them twice.
    """
    actor = Dense((features, 256, 256, actions), rows, actors)
    critics = Dense((features + actions * (2 if gain else 1), 256, 256, 1), rows, ensemble)
    target = Dense(critics.widths, rows, subset)
    judge = actor.forward + target.forward + critics.train
    if encoder is not None:
        # The encoder learns through the critics' inputs, and through the pull of the actor towards human actions.
        judge += encoder.forward + encoder.train + critics.to_inputs(encoded) + actor.through(encoded)
    # Of what people did the critics say whether it is worth its pull.
    return judge * updates + actor.train + critics.through(critics.widths[0] - features) + critics.forward
