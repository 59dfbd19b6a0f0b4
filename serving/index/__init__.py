"""The Brand Toxicity index: a customer's events in, a reading out. No HTTP, no database, no clock.

`State.apply` folds one event in constant time; `read` gives the index, the service pain and the early
signs of a state as of an instant; `suggest` says what a person may do next.
"""
