"""The BigQuery adapter: the only package that imports Google's libraries, and only when a warehouse is opened."""
