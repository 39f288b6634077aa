"""Changes to moto's s3."""
