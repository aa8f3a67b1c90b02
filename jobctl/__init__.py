"""jobctl: the command line (and Python API) of the daemon `jobd`."""
