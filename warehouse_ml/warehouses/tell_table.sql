{{ describe_table(name | wml, told) }}
