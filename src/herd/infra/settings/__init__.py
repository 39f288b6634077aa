"""What a stack says: Pulumi.<stack>.yaml, read and checked."""
