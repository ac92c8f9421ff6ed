"""`python -m cds_service`: the same as the command `cds`."""

from __future__ import annotations

from cds_service.cli.main import main

main()
