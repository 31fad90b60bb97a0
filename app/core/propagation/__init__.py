"""Deep networks, random and real: the signal forward, the gradient back, weights made only where needed."""
