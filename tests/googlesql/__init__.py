"""GoogleSQL's reference implementation as a judge of every statement the toolkit sends to BigQuery."""
