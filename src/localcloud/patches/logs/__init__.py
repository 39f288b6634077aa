"""Changes to moto's logs."""
