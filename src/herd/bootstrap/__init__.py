"""What an account needs once before environments come and go in it: state, keys, data, images, and who may deploy.

A second, small Pulumi project, because all of this outlives every environment. `herd bootstrap` runs it.
"""
