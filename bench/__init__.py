"""Speed and memory of the functions beside two peers, in one run on one machine. ``make bench`` prints ratios.

Absolute figures depend on the machine and on what else it does; the ratios are what the product promises.
"""
