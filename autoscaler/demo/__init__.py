"""Loopback stand-ins, good enough to demonstrate with and to test against."""
