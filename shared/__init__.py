"""What every service stands on: messages, the event log, the application, the consumers."""
