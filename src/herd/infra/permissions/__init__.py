"""What each workload and the platform itself may do."""
