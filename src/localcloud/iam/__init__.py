"""Who may do what, evaluated as AWS does.

- `documents` reads policies, `conditions` their Condition blocks, `evaluation` decides from documents alone: all pure.
- `accesses` and `s3` say which actions on which resources a request asks for.
- `principals` finds a caller's policies, `resources` those of what it asks for: both read moto's models.
- `guard` puts it together. `Guard.check` judges each request before moto sees it; services that act for a role (ECS,
  Step Functions, Scheduler, EventBridge) come through `Guard.assume` first.
"""
