"""``taskgan explain``: Figures 4 and 5 drawn from real training in the plane."""
