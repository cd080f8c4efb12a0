"""S001, Figure 2: the gradient conflict of a linear model, in closed form."""
