"""Multi-contrast MR: tissue, sequences, images."""
