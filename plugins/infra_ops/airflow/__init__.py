"""What DAGs are made of. Cheap to import: whatever is heavy is imported when a task runs."""
