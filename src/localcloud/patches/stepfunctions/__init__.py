"""Changes to moto's stepfunctions."""
