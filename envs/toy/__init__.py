"""Small tasks in a plane, without a physics engine: tens of thousands of steps per second, known cost-to-go."""
