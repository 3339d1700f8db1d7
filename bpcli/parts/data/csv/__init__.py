"""Tables as text: comma-separated files, however they are written."""
