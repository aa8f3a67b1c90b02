"""What scenarios run beside themselves, each in a process of its own, by its path."""
