"""What is measured and what alarms make of it, as CloudWatch defines it. Nothing here knows moto, time or threads."""
