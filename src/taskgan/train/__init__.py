"""Training: one visible step, the loop around it, and the helpers beside it."""
