{{ param(name) }}
