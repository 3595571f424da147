"""The gate and the parts of these tests keep the contracts."""

from actor.parts import A, PointArm, ScriptedPerson, limits
from contracts import ArmContract, TeleopContract

from robot_hil.actor.safety import SafetyGate
from robot_hil.clock import VirtualClock


class TestPointArm(ArmContract):
    def make_arm(self):
        return PointArm(VirtualClock())


class TestSafetyGate(ArmContract):
    def make_arm(self):
        clock = VirtualClock()
        return SafetyGate(PointArm(clock), limits(), clock)


class TestScriptedPerson(TeleopContract):
    action_dim = A

    def make_device(self):
        return ScriptedPerson(VirtualClock(), {})
