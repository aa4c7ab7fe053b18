"""`python -m modeling_mlnet.cli`, the command `mlnet`."""

from . import main

main()
