"""The parsers that come with logscan: a module or folder for each log format."""
