def write_fairness(steps, spec): pass
