"""What a team writes: one folder a workload, its settings, its schedule."""
