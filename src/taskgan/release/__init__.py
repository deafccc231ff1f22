"""Models for others: exported graphs, and folders in the layout of model hubs."""
