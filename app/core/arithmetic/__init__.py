"""Numbers: double-double, loops, formats, summation, and balls that prove what they say."""
