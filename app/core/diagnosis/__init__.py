"""Does the gradient survive, why not, and what would help."""
