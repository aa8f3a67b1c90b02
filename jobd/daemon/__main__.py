"""`python -m jobd.daemon`: by this name a supervisor starts it, also one that is older."""

from jobd.daemon.instance import main

main()
