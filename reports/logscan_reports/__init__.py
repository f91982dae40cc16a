"""Asks the data set what an administrator wants to know: a module for each question."""
