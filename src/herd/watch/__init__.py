"""The watch: what tells the right person that something failed, did not happen, is late, or runs on nonsense.

One function an environment, called every five minutes and on events. What it does is decided here without a clock and
without AWS; the shell around it looks up what `questions` asks for, acts on what `decide` returns, and keeps the
memory:

    event = events.parse(plan, raw)
    while wanted := questions(plan, memory, now, event, known):
        known = known.with_(answers to wanted)
    decision = decide(plan, memory, now, event, known)

    events      what happened: the events of EventBridge, as types of our own
    questions   what has to be looked up
    known       the answers
    decision    what is told, to whom, and what is started: the whole of it, in order
    runs        of jobs, reports and pipelines that have ended: failures, recoveries, warnings
    deadlines   what came of their due times
    services    deployments and alarms
    upkeep      schedules and subscriptions that are no longer as they were made, review dates
    due_times   which due times count, and which are past their deadline
    failures    why a run failed, in words
    troubles    what goes on, and when it is told again
    messages    the kinds of messages, and their texts
    memory      what is remembered from call to call
    call        one call while it is being decided
    plans       what is worked out of a plan once
    handler     Lambda's entry: looks up, decides, keeps, tells
    aws         what it asks of AWS and does there
    outbox      what was decided and not told yet, kept with the memory

It imports the standard library and the runner's contract only: that is all its archive holds.
"""
