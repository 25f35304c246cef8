"""The example that ships with the package: the flights that left New York in 2013."""
