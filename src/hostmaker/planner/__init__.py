"""Says what to do next, and why: pure functions of what is desired, recorded and observed. One decision a module."""
