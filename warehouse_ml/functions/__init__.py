"""The ``ml.*`` table functions: found in a query, answered, and replaced by plain SQL of the target."""
