"""What reviewers of a knowledge folder are told: `cds check`."""
