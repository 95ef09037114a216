"""An operator's orders: given over HTTP, kept over a restart, handed to every target's step."""
