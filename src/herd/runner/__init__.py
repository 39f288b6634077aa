"""What stands between the platform and a workload: the entry point of every task.

A workload is any program that reads a folder and writes a folder. The runner fetches what it reads, starts it, judges
what it wrote and publishes it. It runs in an interpreter of its own, and only the standard library and boto3 are used.

    main        which of the three lives this task has: a run, the last step of a fan-out, or a service
    task        the task definition's and the run's variables -> DeployedTask or Trial; the variables the workload sees
    workspace   the writable copy of the workload's folder; which files count as outputs
    health      a service seen from inside: what the load balancer will hold against it
    command     the workload's processes: signals, exit status, nothing left behind
    limit       the time limit of an attempt
    descendants the processes below this one
    published   what an environment has published; nothing where it is not up
    inputs      what a run reads, before its command starts
    fetch       the files of a version, verified
    connections the address of a database, made of its secret
    checks      the output gate (pure)
    publishing  versions, the switch of latest.json, the baseline, what happens to superseded versions
    pages       a report's files in the public bucket
    record      what is written down about a run
    storage     the few things asked of S3
    contract    what the program and the command line must agree on with the runner: they import that, and no more
"""
