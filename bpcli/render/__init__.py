"""Floor 6: records to text. The only place that knows Rich, and the only one that prints."""
