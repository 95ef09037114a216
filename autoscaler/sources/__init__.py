"""Where the load is read: one module a source."""
