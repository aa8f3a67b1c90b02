"""All printing: data on stdout, notices and errors on stderr, colour on terminals alone."""
