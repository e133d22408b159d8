"""Who may do what: pure rules, from the text of the access file to a yes or no.

`reading` makes a `policy` of the text, `tokens` and `proofs` tell who calls, `rights` what a caller
may do to which queue, `limits` how often, and `quotas` how much queues may hold.
"""
