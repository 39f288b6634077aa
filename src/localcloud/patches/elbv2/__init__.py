"""Changes to moto's elbv2."""
