"""The decision core: pure, and the same in the daemon and in the simulator."""
