"""Floor 2: the only sockets, clocks and threads that wait for them."""
