"""Floor 0: values. Names, documents, errors, events; no I/O, no decisions about I/O."""
