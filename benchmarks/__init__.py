"""What is fast, against what, in one run: `python -m benchmarks.run` (Linux, with curl and openssl)."""
