"""The simulated world: the same decisions, on past load, in virtual time."""
