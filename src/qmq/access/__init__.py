"""Who may do what: pure rules, from the text of the access file to a yes or no.

`policy` reads the file, `tokens` and `proofs` tell who calls, `rights` what that one may do to
which queue, `limits` how often, and `quotas` how much queues may hold.
"""
