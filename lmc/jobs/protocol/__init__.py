"""What a command can be told, how it talks, and what it hands back."""
