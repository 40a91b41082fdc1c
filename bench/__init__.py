"""Speed, memory, cold starts and cost of the functions beside four peers, measured in one run on one machine.

Absolute figures depend on the machine and its other load. The ratios are what the product promises.
"""
