"""Reading a spool beside the actor that writes it."""

import numpy as np

from robot_hil.data import codec
from robot_hil.replay import spool as module
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.replay.spool import Spool


def test_what_the_actor_writes_is_seen_at_once_and_what_it_drops_is_gone(tmp_path, small_step, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 2000)
    reader = StepLogReader(tmp_path / "spool")
    assert reader.file is None
    assert (reader.bounds(), reader.headers(0), reader.step(0)) == ((0, 0), [], None)
    with Spool(tmp_path / "spool", {}) as spool:
        assert reader.bounds() == (0, 0)
        spool.begin_epoch()
        assert reader.file is not None
        for seq in range(20):
            spool.append([codec.encode(small_step(seq, epoch=1, seq=seq))])
            spool.release(1, 0)
            assert reader.bounds() == (0, seq + 1)
        assert [(number, head.seq) for number, head in reader.headers(3)] == [(n, n) for n in range(3, 20)]
        step = reader.step(7)
        assert step is not None
        np.testing.assert_array_equal(step.obs["front"], small_step(7).obs["front"])
        spool.release(1, 12)
        first, end = reader.bounds()
        assert 0 < first <= 12
        assert end == 20
        assert reader.step(0) is None
        assert reader.headers(0)[0][0] == first
        reader.close()
        assert reader.bounds() == (first, 20)
    reader.close()
    reader.close()


def test_a_half_written_step_waits_for_its_end(tmp_path, small_step) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        spool.begin_epoch()
        spool.append([codec.encode(small_step(0, epoch=1, seq=0))])
    (path,) = (tmp_path / "spool").glob("*.steps")
    more = codec.encode(small_step(1, epoch=1, seq=1))
    reader = StepLogReader(tmp_path / "spool")
    for cut in (1, 20, 100, len(more)):
        whole = path.read_bytes()
        path.write_bytes(whole + more[:cut])
        assert reader.bounds() == (0, 2 if cut == len(more) else 1)
        if cut < len(more):
            path.write_bytes(whole)
    reader.close()


def test_what_a_power_cut_took_of_a_file_is_not_there(tmp_path, small_step) -> None:
    with Spool(tmp_path / "spool", {}) as spool:
        for epoch in (1, 2):
            spool.begin_epoch()
            spool.append([codec.encode(small_step(n, epoch=epoch, seq=n)) for n in range(3)])
    path = min((tmp_path / "spool").glob("*.steps"))
    path.write_bytes(path.read_bytes()[:-100])
    reader = StepLogReader(tmp_path / "spool")
    assert reader.bounds() == (0, 6)
    assert [number for number, _ in reader.headers(0)] == [0, 1, 3, 4, 5]
    assert reader.step(2) is None
    assert reader.step(3) is not None
    reader.close()


def test_another_spool_in_the_same_place_is_noticed(tmp_path, small_step) -> None:
    path = tmp_path / "spool"
    reader = StepLogReader(path)
    seen = set()
    for number in (3, 5):
        with Spool(path, {}) as spool:
            spool.begin_epoch()
            spool.append([codec.encode(small_step(n, epoch=1, seq=n)) for n in range(number)])
        assert reader.bounds() == (0, number)
        seen.add(reader.file)
        path.rename(tmp_path / f"old{number}")
        assert reader.bounds() == (0, 0)
    assert len(seen) == 2
    reader.close()
