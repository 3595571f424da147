"""Weights: the latest wins, late joiners are served, junk and strangers are not."""

import time

import numpy as np
import pytest
import zmq

from robot_hil.errors import ConfigError, SpecError, TransportError
from robot_hil.transport.keys import make_keys
from robot_hil.transport.weights import WeightPublisher, WeightSubscriber, decode_params, encode_params


def _params(value: float, size: int = 50) -> dict[str, np.ndarray]:
    return {
        "actor.weight": np.full((size, size), value, np.float32),
        "actor.bias": np.full(3, value),
        "log_std": np.array(value, np.float32),
    }


@pytest.fixture
def publisher():
    with WeightPublisher(endpoint="tcp://127.0.0.1:*") as publisher:
        yield publisher


def test_a_late_joiner_gets_the_current_weights(publisher) -> None:
    publisher.publish(4, _params(4.0), learner_step=40)
    with WeightSubscriber(endpoint=publisher.endpoint) as subscriber:
        weights = subscriber.wait(-1, 20)
        assert weights is subscriber.latest()
        assert (weights.version, weights.learner_step) == (4, 40)
        for name, array in _params(4.0).items():
            np.testing.assert_array_equal(weights.params[name], array)
            assert weights.params[name].shape == array.shape
            assert weights.params[name].dtype == array.dtype
            assert not weights.params[name].flags.writeable
        assert weights.age(time.monotonic()) >= 0
        assert weights.age(weights.received_t + 7) == pytest.approx(7 + weights.age_at_receipt)


def test_an_early_joiner_gets_every_wanted_version_and_never_an_older_one(publisher) -> None:
    with WeightSubscriber(endpoint=publisher.endpoint) as subscriber:
        assert subscriber.latest() is None
        assert subscriber.wait(-1, 0.05) is None
        for version in range(5):
            publisher.publish(version, _params(1.0))
            assert subscriber.wait(version - 1, 20).version == version


def test_the_latest_wins_when_publishing_is_faster_than_receiving(publisher) -> None:
    with WeightSubscriber(endpoint=publisher.endpoint) as subscriber:
        for version in range(200):
            publisher.publish(version, _params(float(version), 300))
        assert subscriber.wait(198, 20).params["log_std"] == 199.0
        assert subscriber.received < 200


def test_several_actors(publisher) -> None:
    subscribers = [WeightSubscriber(endpoint=publisher.endpoint).start() for _ in range(3)]
    publisher.publish(1, _params(1.0))
    assert [subscriber.wait(0, 20).version for subscriber in subscribers] == [1, 1, 1]
    for subscriber in subscribers:
        subscriber.stop()
        subscriber.stop()


def test_a_restarted_learner_is_followed_even_with_a_lower_version(free_port) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port}"
    with WeightSubscriber(endpoint=endpoint) as subscriber:
        with WeightPublisher(endpoint=endpoint) as publisher:
            publisher.publish(9, _params(9.0))
            assert subscriber.wait(-1, 20).version == 9
        with WeightPublisher(endpoint=endpoint) as publisher:
            publisher.publish(9, _params(1.0))
            deadline = time.monotonic() + 20
            while subscriber.latest().params["log_std"] != 1.0 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert subscriber.latest().params["log_std"] == 1.0


def test_versions_must_rise(publisher) -> None:
    publisher.publish(3, _params(1.0))
    for version in (3, 2):
        with pytest.raises(TransportError, match=f"version {version} follows 3"):
            publisher.publish(version, _params(1.0))


def test_junk_is_counted_and_the_others_are_served(publisher) -> None:
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.linger = 0
    stranger.connect(publisher.endpoint)
    rng = np.random.default_rng(0)
    for size in rng.integers(0, 300, 200):
        stranger.send_multipart([rng.bytes(int(size))] * int(rng.integers(1, 3)))
    publisher.publish(1, _params(1.0))
    with WeightSubscriber(endpoint=publisher.endpoint) as subscriber:
        assert subscriber.wait(0, 20).version == 1
    deadline = time.monotonic() + 20
    while publisher.refused < 200 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert publisher.refused == 200
    stranger.close()
    context.term()


def test_damaged_weights_are_not_used(free_port) -> None:
    context = zmq.Context()
    server = context.socket(zmq.ROUTER)
    server.linger = 0
    server.bind(f"tcp://127.0.0.1:{free_port}")
    with WeightSubscriber(endpoint=f"tcp://127.0.0.1:{free_port}") as subscriber:
        peer, _ = server.recv_multipart()
        for frames in ([b""], [b"x", b"y"], [b"\x80", encode_params(_params(1.0))]):
            server.send_multipart([peer, *frames])
        deadline = time.monotonic() + 20
        while subscriber.refused < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (subscriber.refused, subscriber.latest()) == (3, None)
    server.close()
    context.term()


def test_only_the_right_keys_get_weights(tmp_path) -> None:
    right, wrong = make_keys(tmp_path / "right"), make_keys(tmp_path / "wrong")
    with WeightPublisher(endpoint="tcp://127.0.0.1:*", keys=right) as publisher:
        publisher.publish(1, _params(1.0))
        with (
            WeightSubscriber(endpoint=publisher.endpoint, keys=wrong) as stranger,
            WeightSubscriber(endpoint=publisher.endpoint) as naked,
            WeightSubscriber(endpoint=publisher.endpoint, keys=right) as subscriber,
        ):
            assert subscriber.wait(0, 20).version == 1
            assert stranger.wait(0, 0.5) is None
            assert naked.latest() is None


def test_other_interfaces_need_keys_and_ports_are_named(publisher) -> None:
    with pytest.raises(ConfigError, match="robot-hil keys"):
        WeightPublisher(endpoint="tcp://0.0.0.0:5589").start()
    with pytest.raises(ConfigError, match="robot-hil keys"):
        WeightSubscriber(endpoint="tcp://192.168.0.1:5589")
    with pytest.raises(TransportError, match="in use"):
        WeightPublisher(endpoint=publisher.endpoint).start()


def test_parameters_are_refused_when_malformed() -> None:
    good = encode_params(_params(1.0))
    rng = np.random.default_rng(0)
    for data in (b"", b"x" * 7, good[:-1], good + b"x", rng.bytes(500), b"\xff" * 8 + good[8:]):
        with pytest.raises(SpecError, match="malformed"):
            decode_params(data)
    with pytest.raises(SpecError, match="cannot be encoded"):
        encode_params({"a": np.array(["text"])})
