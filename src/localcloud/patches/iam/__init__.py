"""Changes to moto's iam."""
