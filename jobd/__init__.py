"""jobd: a local daemon that owns a priority queue of shell commands and runs them."""
