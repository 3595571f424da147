"""Actor and learner over real sockets: delivery, budget, strangers, keys, mismatches."""

import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import zmq

from robot_hil.data import codec
from robot_hil.data.specs import ArraySpec
from robot_hil.errors import ConfigError, SpecError, StorageError, TransportError
from robot_hil.replay.spool import Spool
from robot_hil.replay.step_log import StepLog
from robot_hil.transport import protocol
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.keys import make_keys
from robot_hil.transport.uplink import Uplink


@pytest.fixture
def log(tmp_path):
    with StepLog(tmp_path / "log") as log:
        yield log


@pytest.fixture
def server(log, small_spec):
    with IngestServer(log, small_spec, run_id="run", task="pick", endpoint="tcp://127.0.0.1:*") as server:
        yield server


@pytest.fixture
def connect(tmp_path, small_spec, server):
    opened = []

    def connect(spool="spool", **options):
        values = {"endpoint": server.endpoint, "task": "pick"} | options
        uplink = Uplink(tmp_path / spool, values.pop("spec", small_spec), **values)
        opened.append(uplink)
        return uplink.start()

    yield connect
    for uplink in opened:
        uplink.stop()


def test_steps_arrive_once_in_order_and_durable(connect, server, log, small_step) -> None:
    uplink = connect()
    sent = [small_step(number) for number in range(300)]
    assert [uplink.put(step) for step in sent] == list(range(300))
    assert uplink.flush(20)
    got = server.drain()
    assert [step.seq for step in got] == list(range(300))
    assert [(step.actor_id, step.epoch) for step in got] == [("actor", 1)] * 300
    for step, back in zip(sent, got, strict=True):
        np.testing.assert_array_equal(step.obs["front"], back.obs["front"])
    assert server.drain() == []
    assert log.info().steps == server.info().steps == 300
    assert uplink.info().repeated == server.info().duplicates == server.info().lost == 0


@pytest.mark.parametrize("sync_after", [0.0, 0.01, 60.0])
def test_the_actors_disk_may_be_waited_for_later(connect, server, log, tmp_path, small_step, sync_after) -> None:
    uplink = connect(sync_after=sync_after)
    for number in range(200):
        uplink.put(small_step(number))
    assert uplink.flush(20)
    assert uplink.info().logged == log.info().steps == 200
    server.stop()
    for number in range(200, 300):
        uplink.put(small_step(number))
    uplink.stop()  # nobody else has the rest
    assert uplink.info().logged == 300
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.epochs()[1][1] == 300
        found = [codec.peek(blob).seq for blob in spool.read(1, 200, 1000)]
    assert found == list(range(200, 300))


def test_without_a_learner_steps_are_on_the_disk_before_anything_else(tmp_path, small_spec, small_step, until) -> None:
    with Uplink(tmp_path / "spool", small_spec, endpoint="tcp://127.0.0.1:9", sync_after=60.0) as uplink:
        for number in range(50):
            uplink.put(small_step(number))
        until(lambda: uplink.info().logged == 50)


def test_several_actors_at_once(connect, server, log, small_step) -> None:
    uplinks = [connect(f"spool{i}", actor_id=f"actor-{i}") for i in range(3)]
    for number in range(100):
        for uplink in uplinks:
            uplink.put(small_step(number))
    assert all(uplink.flush(20) for uplink in uplinks)
    assert log.info().steps == 300
    assert all(log.high_water(f"actor-{i}", 1) == 99 for i in range(3))
    assert server.info().actors == 3


def test_actors_share_what_may_be_on_its_way(connect, server, small_step, until) -> None:
    first = connect("spool0", actor_id="actor-0")
    first.wait_welcome(20)
    assert first._delivery.window.size == 128
    others = [connect(f"spool{i}", actor_id=f"actor-{i}") for i in range(1, 8)]
    for uplink in others:
        uplink.wait_welcome(20)
    until(lambda: {uplink._delivery.window.size for uplink in (first, *others)} == {16})
    for uplink in others[1:]:
        uplink.stop()
    first.put(small_step(0))
    assert first.flush(20)


def test_what_the_spool_has_lost_is_counted_and_the_rest_arrives(tmp_path, small_spec, small_step, server, log) -> None:
    with Uplink(tmp_path / "spool", small_spec, endpoint="tcp://127.0.0.1:9", task="pick") as uplink:
        for number in range(5):
            uplink.put(small_step(number))
    (path,) = (tmp_path / "spool").glob("*.steps")
    content = bytearray(path.read_bytes())
    content[content.index(small_step(2).obs["front"].tobytes()) + 3] ^= 1
    path.write_bytes(content)
    with Uplink(tmp_path / "spool", small_spec, endpoint=server.endpoint, task="pick") as uplink:
        uplink.put(small_step(5))
        assert uplink.flush(20)
    assert [(step.epoch, step.seq) for step in server.drain()] == [(1, 0), (1, 1), (1, 3), (1, 4), (2, 0)]
    assert server.info().lost == log.info().lost == 1
    assert (tmp_path / "spool" / path.with_suffix(".damaged").name).exists()


def test_everyone_hears_of_progress(connect, server, small_step, until) -> None:
    busy, idle = connect("a", actor_id="a"), connect("b", actor_id="b")
    for uplink in (busy, idle):
        uplink.wait_welcome(20)
    for number in range(20):
        busy.put(small_step(number))
    assert busy.flush(20)
    assert busy.progress.steps_ingested == 20
    until(lambda: idle.progress.steps_ingested == 20)
    server.set_progress(updates=7)
    until(lambda: busy.progress.updates == idle.progress.updates == 7)


def test_steps_put_before_the_learner_lives_are_delivered(tmp_path, free_port, small_spec, small_step) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port}"
    with Uplink(tmp_path / "spool", small_spec, endpoint=endpoint) as uplink:
        for number in range(200):
            uplink.put(small_step(number))
        assert not uplink.flush(0.2)
        with pytest.raises(TransportError, match=r"no learner answers.*same key file"):
            uplink.wait_welcome(0.05)
    # another start, the learner is there now
    with (
        StepLog(tmp_path / "log") as log,
        IngestServer(log, small_spec, run_id="run", endpoint=endpoint),
        Uplink(tmp_path / "spool", small_spec, endpoint=endpoint) as uplink,
    ):
        uplink.put(small_step(0))
        assert uplink.flush(20)
        assert uplink.epoch == 2
        assert log.high_water("actor", 1) == 199
        assert log.high_water("actor", 2) == 0


def test_progress_and_stop_reach_a_waiting_actor(connect, server, small_step) -> None:
    server.set_progress(updates=3, step_budget=2)
    uplink = connect()
    uplink.wait_welcome(20)
    assert uplink.progress.updates == 3
    for number in range(2):
        assert uplink.throttle(20)
        uplink.put(small_step(number))
    assert not uplink.may_step()
    assert not uplink.throttle(0.05)
    assert uplink.flush(20)
    assert not uplink.throttle(0.05)
    threading.Timer(0.05, lambda: server.set_progress(step_budget=3)).start()
    assert uplink.throttle(20)
    uplink.put(small_step(2))
    threading.Timer(0.05, lambda: server.set_progress(stop=True)).start()
    assert not uplink.throttle(20)
    assert uplink.progress.stop


def test_reports_arrive(connect, server, until) -> None:
    uplink = connect()
    uplink.report({"episode": 1, "success": True})
    found = []
    until(lambda: bool(found.extend(server.reports()) or found))
    assert found == [("actor", {"episode": 1, "success": True})]


def test_a_crowded_learner_holds_the_actor_back_and_loses_nothing(tmp_path, small_spec, small_step, until) -> None:
    with (
        StepLog(tmp_path / "log") as log,
        IngestServer(log, small_spec, run_id="run", endpoint="tcp://127.0.0.1:*", max_backlog=20) as server,
        Uplink(tmp_path / "spool", small_spec, endpoint=server.endpoint, window=8) as uplink,
    ):
        for number in range(600):
            uplink.put(small_step(number))
        until(lambda: uplink.info().logged == 600 and server.info().steps > 20)
        time.sleep(0.2)
        assert server.info().steps < 600
        got = []
        until(lambda: bool(got.extend(server.drain())) or len(got) == 600)
        assert [step.seq for step in got] == list(range(600))


def greeting(spec, actor_id: str, epoch: int) -> protocol.Hello:
    return protocol.Hello(
        nonce=1,
        run_id="",
        actor_id=actor_id,
        epoch=epoch,
        instance="x",
        held={epoch: (0, 0)},
        identity=protocol.identity(spec, "pick"),
    )


def test_strangers_bytes_are_counted_and_dropped(connect, server, log, small_spec, small_step, until, caplog) -> None:
    caplog.set_level(logging.CRITICAL)
    uplink = connect()
    uplink.wait_welcome(20)
    rng = np.random.default_rng(0)
    good = codec.encode(small_step(0, actor_id="evil", epoch=1, seq=0))
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.linger = 0
    stranger.connect(server.endpoint)
    hello = greeting(small_spec, "evil", 1)
    sent = 0
    for welcome in (False, True):
        for _ in range(300):
            if welcome:
                stranger.send_multipart([protocol.HELLO, protocol.pack(hello)])
            junk = rng.bytes(int(rng.integers(0, 200)))
            kind = [b"", b"X", protocol.HELLO, protocol.STEPS, protocol.REPORT, protocol.ACK][int(rng.integers(6))]
            bad = bytearray(good)
            bad[int(rng.integers(len(bad)))] ^= 1
            header = protocol.pack(protocol.StepsHeader(1, 0))
            frames = [[junk], [kind, junk], [kind, junk, junk], [protocol.STEPS, header, bytes(bad)]]
            stranger.send_multipart(frames[int(rng.integers(4))])
            sent += 1
    uplink.put(small_step(1))
    assert uplink.flush(20)
    until(lambda: server.info().refused + server.info().unwelcome >= sent - 5)
    assert server.info().refused > 150
    assert log.info().steps == 1
    assert [step.actor_id for step in server.drain()] == ["actor"]
    stranger.close()
    context.term()


def test_hostile_steps_of_a_welcome_actor_are_refused(connect, server, log, small_spec, small_step, until) -> None:
    context = zmq.Context()
    peer = context.socket(zmq.DEALER)
    peer.linger = 0
    peer.rcvtimeo = 20_000
    peer.connect(server.endpoint)
    hello = greeting(small_spec, "a", 2)
    step = small_step(0, actor_id="a", epoch=2, seq=0)
    wrong = [
        replace(step, actor_id="b"),
        replace(step, epoch=3),
        replace(step, obs={}),
        replace(step, seq=-1),
        replace(step, obs={**step.obs, "front": np.zeros((9, 9, 3), np.uint8)}),
    ]

    def answer() -> list[bytes]:
        return next(frames for frames in iter(peer.recv_multipart, None) if frames[0] != protocol.ACK)

    for bad in [*wrong, step]:
        peer.send_multipart([protocol.HELLO, protocol.pack(hello)])
        assert answer()[0] == protocol.WELCOME
        peer.send_multipart([protocol.STEPS, protocol.pack(protocol.StepsHeader(bad.epoch, 0)), codec.encode(bad)])
        if bad is not step:
            kind, body = answer()
            assert kind == protocol.REFUSED
            assert b"cannot take" in body
    until(lambda: log.info().steps == 1)
    assert server.info().refused == len(wrong)
    peer.close()
    context.term()


def test_another_specification_is_refused_with_the_difference(connect, small_spec, small_step) -> None:
    bigger = replace(
        small_spec,
        observation={**small_spec.observation, "front": ArraySpec(shape=(16, 16, 3), dtype="uint8")},
        control_hz=20.0,
    )
    uplink = connect(spec=bigger)
    with pytest.raises(TransportError) as caught:
        uplink.wait_welcome(20)
    text = str(caught.value)
    assert "observation.front.shape: the actor has [16, 16, 3], the learner has [8, 8, 3]" in text
    assert "control_hz: the actor has 20.0, the learner has 10.0" in text
    # recording goes on: what is recorded is on disk
    front = np.zeros((16, 16, 3), np.uint8)
    step = small_step()
    uplink.put(replace(step, obs={**step.obs, "front": front}))
    assert not uplink.flush(5)


def test_another_task_or_run_is_refused(connect) -> None:
    with pytest.raises(TransportError, match="task: the actor has 'peg', the learner has 'pick'"):
        connect("a", task="peg").wait_welcome(20)
    with pytest.raises(TransportError, match="run 'other', this learner's run is 'run'"):
        connect("b", run_id="other").wait_welcome(20)


def test_an_actor_that_read_another_file_is_refused(connect) -> None:
    with pytest.raises(TransportError, match=r"files: the actor has \{'trunk': 'abc'\}, the learner has nothing"):
        connect("a", files={"trunk": "abc"}).wait_welcome(20)


def test_a_second_actor_of_the_same_name_is_refused(connect, small_step) -> None:
    first = connect("a")
    first.wait_welcome(20)
    with pytest.raises(TransportError, match=r"another actor called 'actor'.*--actor-id"):
        connect("b").wait_welcome(20)
    first.put(small_step())
    assert first.flush(20)


def test_a_newer_start_fences_the_older_one(connect, small_step, until) -> None:
    old = connect("a")
    old.wait_welcome(20)
    connect("b").stop()
    new = connect("b")
    new.wait_welcome(20)
    assert new.epoch == 2
    old.put(small_step())
    until(lambda: bool(old.info().refused))
    assert "not newer" in old.info().refused
    new.put(small_step())
    assert new.flush(20)


def test_a_step_of_another_shape_is_refused_at_once(connect, small_step) -> None:
    uplink = connect()
    step = small_step()
    with pytest.raises(SpecError, match=r"obs 'state' is float32\(4,\); the specification says float32\(5,\)"):
        uplink.put(replace(step, obs={**step.obs, "state": np.zeros(4, np.float32)}))
    with pytest.raises(SpecError, match="action_executed"):
        uplink.put(replace(step, action_executed=np.zeros(7)))
    assert uplink.put(step) == 0
    assert uplink.flush(20)


def test_port_in_use_is_named(server, log, small_spec) -> None:
    port = server.endpoint.rpartition(":")[2]
    with pytest.raises(TransportError, match=rf"port {port}.*in use.*another port"):
        IngestServer(log, small_spec, run_id="run", endpoint=server.endpoint).start()


@pytest.mark.parametrize("endpoint", ["tcp://*:5588", "tcp://0.0.0.0:5588", "tcp://10.0.0.1:5588"])
def test_other_interfaces_need_keys(tmp_path, log, small_spec, endpoint: str) -> None:
    with pytest.raises(ConfigError, match="robot-hil keys"):
        IngestServer(log, small_spec, run_id="run", endpoint=endpoint).start()
    with pytest.raises(ConfigError, match="robot-hil keys"):
        Uplink(tmp_path / "spool", small_spec, endpoint=endpoint).start()


@pytest.mark.parametrize("endpoint", ["5588", "127.0.0.1:5588", "tcp://127.0.0.1", "ipc:///tmp/x", "tcp://:5588"])
def test_a_malformed_address_is_named(tmp_path, small_spec, endpoint: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        Uplink(tmp_path / "spool", small_spec, endpoint=endpoint).start()


def test_only_the_right_keys_get_in(tmp_path, log, small_spec, small_step, until) -> None:
    right, wrong = make_keys(tmp_path / "right.key"), make_keys(tmp_path / "wrong.key")
    # knows the server, but is not the client that is let in
    half = replace(right, client_public=wrong.client_public, client_secret=wrong.client_secret)
    with IngestServer(log, small_spec, run_id="run", endpoint="tcp://127.0.0.1:*", keys=right) as server:
        for name, keys in (("none", None), ("wrong", wrong), ("half", half)):
            with Uplink(tmp_path / name, small_spec, endpoint=server.endpoint, keys=keys) as uplink:
                uplink.put(small_step())
                assert not uplink.flush(0.7)
        with Uplink(tmp_path / "good", small_spec, endpoint=server.endpoint, keys=right) as uplink:
            uplink.put(small_step())
            assert uplink.flush(20)
        assert log.info().steps == 1
        assert server.info().refused == 0


def test_a_full_spool_stops_the_actor_with_a_message(tmp_path, small_spec, small_step, until) -> None:
    with Uplink(tmp_path / "spool", small_spec, endpoint="tcp://127.0.0.1:9") as uplink:
        uplink._delivery.spool._chain._max_bytes = 1 << 20

        def fill() -> None:
            for number in range(3000):
                uplink.put(small_step(number))
            until(lambda: uplink.error is not None)
            uplink.put(small_step())

        with pytest.raises(StorageError, match="limit"):
            fill()
        logged = uplink.info().logged
        assert logged > 0
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.epochs() == {1: (0, logged)}


def test_nothing_acts_before_start_and_closing_twice_is_legal(tmp_path, log, small_spec, small_step) -> None:
    uplink = Uplink(tmp_path / "spool", small_spec)
    server = IngestServer(log, small_spec, run_id="run")
    assert not (tmp_path / "spool").exists()
    with pytest.raises(TransportError, match="start"):
        uplink.put(small_step())
    for _ in range(2):
        uplink.stop()
        server.stop()
