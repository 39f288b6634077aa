"""The rules that every environment is held to, before anything of it is made.

Pulumi runs this folder as a policy pack (`--policy-pack policy`): in each preview and update it shows every resource to
the rules, and what breaks a mandatory one is not made. `herd check` asks the same rules without any engine.

    model.py        what a rule sees (Resource, Stack) and what it is (Rule)
    documents.py    IAM documents and container definitions, read with care
    tasks.py network.py storage.py iam.py watching.py   the rules, by concern
    catalogue.py    all of them, and what they find
    exceptions.py   what the team has decided to accept: policy-exceptions.toml
    analyzer.py     Pulumi's analyzer protocol over all that, wire.py its values

A rule is a pure function of a resource's type and inputs, here and nowhere else. It knows nothing of the program in
infra/, which could be another one: it judges what is asked of AWS.
"""
