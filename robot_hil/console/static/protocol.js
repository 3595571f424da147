// Version of the messages between page, console and robot, as in robot_hil/data/operator_input.py.
export const PROTOCOL = 1;
