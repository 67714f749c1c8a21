"""What does I/O, one library a file."""
