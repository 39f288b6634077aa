"""Changes to moto's ec2."""
