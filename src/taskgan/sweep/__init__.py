"""``taskgan sweep``: many settings of one recipe, judged on validation subjects, and the choice among them."""
