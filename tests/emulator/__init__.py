"""The BigQuery emulator of the tests, in a virtual environment of its own."""
