"""What is stored, selected and put into words, and the commands that repeat it."""
