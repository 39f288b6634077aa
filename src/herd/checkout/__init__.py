"""The team's files: finding the project, its settings, its workloads, its names."""
