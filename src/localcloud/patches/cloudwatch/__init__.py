"""CloudWatch: metrics as they are kept and asked for, and alarms."""
