"""Floor 1: decisions without I/O: what to ask, what an answer means, what to do next. Time comes in as an argument."""
