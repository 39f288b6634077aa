"""Images without Docker: a Dockerfile and its build context become a folder of files, an environment and a command.

dockerfile.py reads the Dockerfile, context.py the folder it is built from, plan.py works out what the image would hold,
store.py keeps it by digest and name, realise.py makes the virtual environments that it needs.
"""
