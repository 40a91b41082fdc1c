"""The operator's command line: publish jobs, handle dead letters, see whether everything works."""
