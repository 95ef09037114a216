"""What is sized: one module a fleet."""
