"""Mean-field theory: what depth does to length, correlation and gradient when width is infinite."""
