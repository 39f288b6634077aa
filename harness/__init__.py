"""What tests, benchmarks and the soak share: a checkout of its own in an empty folder."""
