"""Text out of what strangers made: HTML, PDF, text in whatever encoding."""
