"""Speed and memory of the functions compared with two peers, measured in one run on one machine (``make bench``).

Absolute figures depend on the machine and its other load. The ratios are what the product promises.
"""
