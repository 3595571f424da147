"""Processes die by SIGKILL at any moment; no step is lost or stored twice."""

from robot_hil.replay.spool import Spool
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.uplink import Uplink


def test_the_learner_is_killed_again_and_again(tmp_path, free_port, start_process, small_spec, small_step) -> None:
    learner = start_process("learner_process.py", tmp_path / "log", free_port)
    assert learner.stdout.readline() == "ready\n"
    total, kills = 1500, 4
    with Uplink(tmp_path / "spool", small_spec, endpoint=f"tcp://127.0.0.1:{free_port}") as uplink:
        uplink.wait_welcome(20)
        for number in range(total):
            uplink.put(small_step(number, episode_id=number))
            if number % (total // (kills + 1)) == total // (kills + 1) - 1 and number < total - 1:
                learner.kill()
                learner.wait()
                learner = start_process("learner_process.py", tmp_path / "log", free_port)
        assert learner.stdout.readline() == "ready\n"
        assert uplink.flush(30), uplink.info()
        info = uplink.info()
        assert (info.put, info.acked, info.unacked) == (total, total, 0)
    learner.kill()
    learner.wait()
    with StepLog(tmp_path / "log") as log:
        steps = list(log.steps())
        assert [step.seq for step in steps] == list(range(total))
        assert [step.episode_id for step in steps] == list(range(total))
        assert log.info().lost == 0
    with Spool(tmp_path / "spool", {}) as spool:
        assert spool.epochs() == {}


def test_the_actor_is_killed_again_and_again(tmp_path, start_process, small_spec) -> None:
    logged: dict[int, int] = {}
    with (
        StepLog(tmp_path / "log") as log,
        IngestServer(log, small_spec, run_id="run", endpoint="tcp://127.0.0.1:*") as server,
    ):
        for start in range(1, 4):
            actor = start_process("actor_process.py", tmp_path / "spool", server.endpoint, 10_000)
            for line in actor.stdout:
                epoch, count = map(int, line.split())
                assert epoch == start
                logged[epoch] = count
                if count >= 150 * start:
                    break
            actor.kill()
            actor.wait()
        # the next start delivers what the dead ones had on disk
        with Uplink(tmp_path / "spool", small_spec, endpoint=server.endpoint) as uplink:
            assert uplink.epoch == 4
            assert uplink.next_episode == 3
            assert uplink.flush(30), uplink.info()
        assert server.info().lost == 0
        for epoch, count in logged.items():
            assert log.high_water("actor", epoch) >= count - 1
        keys = [(step.epoch, step.seq) for step in log.steps()]
        assert keys == sorted(set(keys))
        assert [key for key in keys if key[0] == 2] == [(2, seq) for seq in range(log.high_water("actor", 2) + 1)]
