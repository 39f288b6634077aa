"""Lambda functions as processes of this machine.

An execution environment is one process that asks for events by Lambda's Runtime API (`runtime_api`). The bootstraps
for Python and Node are in `bootstraps/`; functions of a `provided` runtime bring their own. `invocations.Invocations`
is what the rest of the local cloud sees; `functions` keeps environments warm, `asynchronous` retries events, `queues`
polls SQS.
"""
