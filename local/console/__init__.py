"""The console of the local stack: one page that shows jobs, lanes, Customer.io and reports, and lets you try them."""
