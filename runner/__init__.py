"""What stands between the platform and a workload: the entry point of every task."""
