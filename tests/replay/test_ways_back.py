"""Steps that lead back the way the robot came: learnt from by a critic, imitated by nobody."""

import numpy as np

from robot_hil.data.step import Segment
from robot_hil.methods.bc import Bc
from robot_hil.replay.columns import FactTable
from robot_hil.replay.draw import facts_of


def test_recovery_and_correction_are_imitated_the_way_back_is_not(make_step):
    facts = FactTable(4, 2)
    for row, kind in enumerate((Segment.NONE, Segment.REWIND, Segment.RECOVERY, Segment.CORRECTION)):
        facts.put(row, facts.pack(make_step(0, row, human=kind is not Segment.NONE, segment=kind)))
    batch, _ = facts_of(facts, np.arange(4), 1, 0.9, Bc().reward, None)
    assert batch["imitate"].tolist() == [0, 0, 1, 1]
    assert batch["is_human"].tolist() == [0, 1, 1, 1]
