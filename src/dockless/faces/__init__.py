"""Floor 5: how people meet dockless; the only floor that reads the environment, prints or exits."""
