"""Runs of steps that follow one another, as recurrent policies are taught by."""

import numpy as np
import pytest

from robot_hil.errors import ConfigError
from robot_hil.methods.base import Method

METHOD = Method()


def fill(buffer, make_step, lengths, last_is_open=False):
    for episode, length in enumerate(lengths):
        for index in range(length):
            end = "truncated" if index == length - 1 and not (last_is_open and episode == len(lengths) - 1) else ""
            buffer.add(make_step(episode, index, demo=episode % 2 == 0, end=end))


def draw(buffer, rows, window, parts=1):
    shares = {"demo": 0.5, "online": 0.5}
    rng = np.random.default_rng(0)
    return buffer.sample(rng, shares, rows, 1, 0.9, METHOD.reward, METHOD.aux, parts=parts, window=window)


def test_a_run_follows_its_episode_to_the_end_and_stays_there(make_buffer, make_step):
    buffer = make_buffer()
    fill(buffer, make_step, [6, 2, 9, 5], last_is_open=True)
    ready = [6, 2, 9, 4]  # what follows the newest step has not come yet
    batch = draw(buffer, 240, 4)
    runs, within = batch["obs/id"].reshape(60, 4, 4), batch["within"].reshape(60, 4)
    assert (runs[:, :, :3] == runs[:, :1, :3]).all()  # one actor, epoch, episode
    for run, inside in zip(runs, within, strict=True):
        first, left = int(run[0, 3]), ready[int(run[0, 2])] - int(run[0, 3])
        assert run[:, 3].tolist() == [first + min(t, left - 1) for t in range(4)]
        assert inside.tolist() == [float(t < left) for t in range(4)]
    assert 0 < within.mean() < 1


def test_the_first_of_each_run_is_of_its_pool(make_buffer, make_step):
    buffer = make_buffer()
    fill(buffer, make_step, [6, 6])
    batch = draw(buffer, 80, 5, parts=2)
    assert batch["pool"].reshape(2, 8, 5).tolist() == [[[0] * 5] * 4 + [[2] * 5] * 4] * 2


def test_without_runs_a_batch_is_what_it_was(make_buffer, make_step):
    buffer = make_buffer()
    fill(buffer, make_step, [6, 6])
    assert "within" not in draw(buffer, 8, 1)


@pytest.mark.parametrize(("rows", "window", "parts"), [(9, 4, 1), (8, 4, 4), (8, 0, 1)])
def test_rows_that_make_no_whole_runs_are_refused(make_buffer, make_step, rows, window, parts):
    buffer = make_buffer()
    fill(buffer, make_step, [6])
    with pytest.raises(ConfigError, match=f"{rows} rows as {parts} equal minibatches of runs of {window}"):
        draw(buffer, rows, window, parts)
