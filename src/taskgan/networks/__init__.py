"""The networks G, D and the recognisers: modules and nothing else."""
