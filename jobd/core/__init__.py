"""Pure rules: no I/O, no threads, no clock (time is an argument)."""
