"""``taskgan limit``: how much of a property the inputs still hold, and what a task network could win."""
