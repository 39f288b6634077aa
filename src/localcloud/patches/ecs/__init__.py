"""Changes to moto's ecs."""
