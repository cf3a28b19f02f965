"""The services. They know each other only by their messages."""
