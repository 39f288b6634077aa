"""What the runner agrees on with everybody else: the settings of a task, keys of the buckets, statuses, kinds, names.

The standard library only, and nothing of Herd: it is imported by the runner in every image (as `runner.contract`), and
by the program and the command line (as `herd.runner.contract`), which import nothing else of the runner.

    task        HERD_TASK: its one type, writer and reader
    variables   the names of the environment variables of a task
    keys        every key in the two buckets
    tags        the tags by which their lifecycle rules know what expires
    documents   what lies there: versions, files, accepted values
    schedule    when a job runs: what people write, what AWS is given, when that will be
    due         what is known of a due time: the marker that a scheduled run leaves
    alarms      the names of the alarms of services
    plan        what the watch knows of an environment: its workloads, deadlines and recipients
    statuses    exit statuses of the runner, and the words for how a run ended
    kinds       the kinds of workloads and the folders they lie in
    names       patterns of the names that people choose
"""
